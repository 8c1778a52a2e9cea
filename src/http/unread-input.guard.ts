import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { MalformedError, ValidationError } from '../errors.js';
import { RawBody } from './body.js';
import type { Request } from './request.js';
import { policyOf } from './route-policy.js';
import { UnmatchedController } from './unmatched.controller.js';

/**
 * A route that reads no query string is sent none, and one that reads no body none or an empty object: what does nothing
 * is refused, as unknown properties are where something is read.
 */
@Injectable()
export class UnreadInputGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.getClass() === UnmatchedController) return true;
    const request = context.switchToHttp().getRequest<Request>();
    assertDecodable(request.url);
    const { readsQuery, readsBody } = policyOf(context);
    if (!readsQuery) refuse(request.query as object, 'is not a known parameter');
    if (!readsBody && request.body instanceof RawBody && request.body.bytes.length > 0) {
      refuse(request.body.parse(), 'is not a known property');
    }
    return true;
  }
}

function refuse(input: object, message: string): void {
  const details = Object.keys(input).map((field) => ({ field, message }));
  if (details.length > 0) throw new ValidationError('The request is not valid', details);
}

/** What can not be decoded would be taken as it stands, for something that nobody meant. */
function assertDecodable(url: string): void {
  const query = url.indexOf('?');
  if (query === -1 || !url.includes('%', query)) return;
  try {
    decodeURIComponent(url.slice(query));
  } catch {
    throw new MalformedError('The query string is not percent-encoded UTF-8');
  }
}
