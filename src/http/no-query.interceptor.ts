import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { MalformedError, ValidationError } from '../errors.js';
import type { Request } from './request.js';

/** Where Nest keeps what a handler's parameters are filled from, and the number that stands for the query string. */
const ROUTE_ARGUMENTS = '__routeArguments__';
const QUERY = '4:';

/**
 * A route that reads no query string is sent none: a parameter that does nothing is refused, as in a route's own query.
 */
@Injectable()
export class NoQueryInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    assertDecodable(request.url);
    const names = Object.keys(request.query as object);
    if (names.length > 0 && !readsQuery(context)) {
      const details = names.map((field) => ({ field, message: 'is not a known parameter' }));
      throw new ValidationError('The request is not valid', details);
    }
    return next.handle();
  }
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

function readsQuery(context: ExecutionContext): boolean {
  const handlerName = context.getHandler().name;
  const parameters = (Reflect.getMetadata(ROUTE_ARGUMENTS, context.getClass(), handlerName) ?? {}) as object;
  return Object.keys(parameters).some((key) => key.startsWith(QUERY));
}
