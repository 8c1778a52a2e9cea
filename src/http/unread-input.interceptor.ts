import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { MalformedError, ValidationError } from '../errors.js';
import { RawBody } from './body.js';
import type { Request } from './request.js';
import { UnmatchedController } from './unmatched.controller.js';

/** Where Nest keeps what a handler's parameters are filled from, and the numbers that stand for body and query string. */
const ROUTE_ARGUMENTS = '__routeArguments__';
const BODY = '3:';
const QUERY = '4:';

/**
 * A route that reads no query string is sent none, and one that reads no body none or an empty object: what does nothing
 * is refused, as unknown properties are where something is read.
 */
@Injectable()
export class UnreadInputInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getClass() === UnmatchedController) return next.handle();
    const request = context.switchToHttp().getRequest<Request>();
    assertDecodable(request.url);
    if (!reads(QUERY, context)) refuse(request.query as object, 'is not a known parameter');
    if (!reads(BODY, context) && request.body instanceof RawBody && request.body.bytes.length > 0) {
      refuse(request.body.parse(), 'is not a known property');
    }
    return next.handle();
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

function reads(source: string, context: ExecutionContext): boolean {
  const handlerName = context.getHandler().name;
  const parameters = (Reflect.getMetadata(ROUTE_ARGUMENTS, context.getClass(), handlerName) ?? {}) as object;
  return Object.keys(parameters).some((key) => key.startsWith(source));
}
