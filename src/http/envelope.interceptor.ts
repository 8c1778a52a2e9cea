import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { Page } from '../database/paging.js';
import { Created } from './created.js';
import { BARE, CACHEABLE } from './decorators.js';
import type { Reply, Request } from './request.js';

export interface Meta {
  requestId: string;
  timestamp: string;
}

export const metaOf = (request: Request): Meta => ({ requestId: request.id, timestamp: new Date().toISOString() });

/** Puts every answer into `{ success, data, meta }`, and says where a new thing is and who may keep the answer. */
@Injectable()
export class EnvelopeInterceptor implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (this.reflector.get<boolean | undefined>(BARE, context.getClass()) === true) return next.handle();
    const request = context.switchToHttp().getRequest<Request>();
    const reply: Reply = context.switchToHttp().getResponse<Reply>();
    if (
      request.user === undefined &&
      this.reflector.get<boolean | undefined>(CACHEABLE, context.getHandler()) === true
    ) {
      reply.header('Cache-Control', 'public, max-age=30');
    }
    return next.handle().pipe(map((result: unknown) => this.wrap(result, request, reply)));
  }

  private wrap(result: unknown, request: Request, reply: Reply): unknown {
    if (result === undefined) return undefined;
    const meta = metaOf(request);
    if (result instanceof Page)
      return { success: true, data: result.items, meta: { ...meta, pagination: result.pagination } };
    if (result instanceof Created) {
      const body: unknown = result.body;
      reply.header('Location', `${versionPrefix(request)}${result.location}`);
      return { success: true, data: body, meta };
    }
    return { success: true, data: result, meta };
  }
}

/** `/api/v1`: links in an answer stay in the version that was asked. */
function versionPrefix(request: Request): string {
  return /^\/api\/v\d+/.exec(request.url)?.[0] ?? '';
}
