import { pathOf, type Reply, type Request } from './request.js';
import { type Succeeded, says } from './route-policy.js';

/** Every route answers under each of them, unless its `@Version` says otherwise. */
export const API_VERSIONS = ['1', '2'];

/** The same path of a later version is to be used instead, and has been there since this day. */
export const SucceededBy = (by: string, since: string) => says({ succeeded: { by, since: new Date(since) } });

/** `/api/v1`: links in an answer stay in the version that was asked. */
export function versionPrefix(request: Request): string {
  return VERSION_PREFIX.exec(request.url)?.[0] ?? '';
}

const VERSION_PREFIX = /^\/api\/v\d+/;

/** RFC 9745 for the header, RFC 5829 for the relation. */
export function announceSuccessor({ by, since }: Succeeded, request: Request, reply: Reply): void {
  const path = pathOf(request.url);
  const successor = path.replace(VERSION_PREFIX, `/api/v${by}`).replace(/[<>"]/g, encodeURIComponent);
  reply.headers({
    Deprecation: `@${since.getTime() / 1000}`,
    Link: `<${successor}>; rel="successor-version"`,
  });
}
