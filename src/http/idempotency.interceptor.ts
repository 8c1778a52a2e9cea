import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { IdempotencyKeys, InvalidIdempotencyKey, type KeyedAnswer } from '../database/idempotency.js';
import { RawBody } from './body.js';
import { Created } from './created.js';
import { type EmailOfBody, KEYED_BY_EMAIL } from './decorators.js';
import type { Reply, Request } from './request.js';

const KEY = /^[\x21-\x7e]{1,255}$/;

/** An answer that was given before: it goes out as it went then, but for `meta`. */
export class Replay {
  constructor(readonly answer: KeyedAnswer) {}
}

/**
 * Lets a POST with an `Idempotency-Key` have its effect once. All of its handler is one unit of work then, with the
 * key in it; whoever comes with the key again is answered from what was recorded, before anything is validated.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly keys: IdempotencyKeys,
    private readonly reflector: Reflector,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    if (request.method !== 'POST') return next.handle();
    const given = request.raw.headersDistinct['idempotency-key'];
    if (given === undefined) return next.handle();
    const scope = this.scopeOf(request, context);
    return scope === undefined
      ? next.handle()
      : from(this.once(scope, keyOf(given), request, context.switchToHttp().getResponse<Reply>(), next));
  }

  private async once(scope: string, key: string, request: Request, reply: Reply, next: CallHandler): Promise<unknown> {
    const { body, method, url: path } = request;
    const bytes = body instanceof RawBody ? body.bytes : new Uint8Array();
    let result: unknown;
    const replayed = await this.keys.once({ scope, key, method, path, body: bytes }, async () => {
      result = await lastValueFrom(next.handle());
      return toRecord(result, reply.statusCode);
    });
    return replayed === undefined ? result : new Replay(replayed);
  }

  /** Whose key it is; `undefined` where nobody has one, as on public routes and for bodies that are refused anyway. */
  private scopeOf({ user, body }: Request, context: ExecutionContext): string | undefined {
    const emailOf = this.reflector.get<EmailOfBody | undefined>(KEYED_BY_EMAIL, context.getHandler());
    if (emailOf === undefined) return user && IdempotencyKeys.scopeOfUser(user.id);
    if (!(body instanceof RawBody)) return undefined;
    try {
      const email = emailOf(body.parse());
      return typeof email === 'string' ? this.keys.scopeOfEmail(email) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** @throws InvalidIdempotencyKey */
function keyOf(given: readonly string[]): string {
  const [key = ''] = given;
  if (given.length !== 1 || !KEY.test(key)) throw new InvalidIdempotencyKey();
  return key;
}

function toRecord(result: unknown, status: number): KeyedAnswer {
  const { location, data } =
    result instanceof Created
      ? { location: result.location, data: result.withoutSecrets() as unknown }
      : { location: null, data: result };
  return { status, location, body: data === undefined ? null : JSON.stringify(data) };
}
