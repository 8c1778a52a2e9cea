import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { JsonView } from '../database/json-view.js';
import { Page } from '../database/paging.js';
import { Created } from './created.js';
import { IdempotencyInterceptor, Replay } from './idempotency.interceptor.js';
import { isNotModified } from './preconditions.js';
import type { Reply, Request } from './request.js';
import { policyOf } from './route-policy.js';
import { versionPrefix } from './versions.js';

export interface Meta {
  requestId: string;
  timestamp: string;
}

export const metaOf = (request: Request): Meta => ({ requestId: request.id, timestamp: new Date().toISOString() });

/**
 * Puts every answer into `{ success, data, meta }`, and says where a new thing is, who may keep the answer, and which
 * version of the resource it shows.
 */
@Injectable()
export class EnvelopeInterceptor implements NestInterceptor {
  constructor(private readonly idempotency: IdempotencyInterceptor) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { isBare, isCacheable, tagOf } = policyOf(context);
    if (isBare === true) return next.handle();
    const request = context.switchToHttp().getRequest<Request>();
    const reply: Reply = context.switchToHttp().getResponse<Reply>();
    if (isCacheable === true && request.user === undefined) {
      reply.header('Cache-Control', 'public, max-age=30');
    }
    return this.idempotency.intercept(context, next).pipe(
      map((result: unknown) => {
        const { data, pagination } = this.open(result, request, reply);
        if (data === undefined) return undefined;
        if (tagOf !== undefined && data !== null && this.tag(tagOf(data), request, reply)) return undefined;
        const meta = { ...metaOf(request), ...(pagination && { pagination }) };
        const text = textOf(data);
        if (text === undefined) return { success: true, data, meta };
        reply.header('Content-Type', 'application/json; charset=utf-8');
        return `{"success":true,"data":${text},"meta":${JSON.stringify(meta)}}`;
      }),
    );
  }

  /** What is in the handler's result; status and `Location` as it asks for. */
  private open(
    result: unknown,
    request: Request,
    reply: Reply,
  ): { data: unknown; pagination?: Page<never>['pagination'] } {
    if (result instanceof Page) return { data: result.items, pagination: result.pagination };
    if (result instanceof Created) {
      reply.header('Location', `${versionPrefix(request)}${result.location}`);
      return { data: result.body };
    }
    if (result instanceof Replay) {
      const { status, location, body } = result.answer;
      reply.status(status).header('Idempotency-Replayed', 'true');
      if (location !== null) reply.header('Location', `${versionPrefix(request)}${location}`);
      // JSON that was written by JSON.stringify comes out of it again as it was.
      return { data: body === null ? undefined : (JSON.parse(body) as unknown) };
    }
    return { data: result };
  }

  /** `true` where the client has this answer already: 304 then, without a body. */
  private tag(tag: string, request: Request, reply: Reply): boolean {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const isKnown = isRead && isNotModified(request, tag);
    reply.header('ETag', `"${tag}"`);
    if (isKnown) reply.status(304);
    return isKnown;
  }
}

/** What is JSON already is not parsed only to be written again. */
function textOf(data: unknown): string | undefined {
  if (data instanceof JsonView) return data.text;
  if (!Array.isArray(data) || !(data[0] instanceof JsonView)) return undefined;
  return `[${(data as JsonView[]).map(({ text }) => text).join(',')}]`;
}
