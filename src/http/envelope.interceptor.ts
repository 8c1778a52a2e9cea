import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { Page } from '../database/paging.js';
import { Created } from './created.js';
import { BARE, CACHEABLE } from './decorators.js';
import { Replay } from './idempotency.interceptor.js';
import { isNotModified, TAGGED, type TagOf } from './preconditions.js';
import type { Reply, Request } from './request.js';
import { announceSuccessor, SUCCEEDED, type Succeeded, versionPrefix } from './versions.js';

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
  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (this.reflector.get<boolean | undefined>(BARE, context.getClass()) === true) return next.handle();
    const request = context.switchToHttp().getRequest<Request>();
    const reply: Reply = context.switchToHttp().getResponse<Reply>();
    const handler = context.getHandler();
    if (request.user === undefined && this.reflector.get<boolean | undefined>(CACHEABLE, handler) === true) {
      reply.header('Cache-Control', 'public, max-age=30');
    }
    const succeeded = this.reflector.get<Succeeded | undefined>(SUCCEEDED, handler);
    if (succeeded !== undefined) announceSuccessor(succeeded, request, reply);
    const tagOf = this.reflector.get<TagOf<unknown> | undefined>(TAGGED, handler);
    return next.handle().pipe(
      map((result: unknown) => {
        const { data, pagination } = this.open(result, request, reply);
        if (tagOf !== undefined && data !== undefined && this.tag(tagOf(data), request, reply)) return undefined;
        if (data === undefined) return undefined;
        return { success: true, data, meta: { ...metaOf(request), ...(pagination && { pagination }) } };
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
