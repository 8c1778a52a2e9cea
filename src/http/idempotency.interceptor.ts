import {
  type CallHandler,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { from, lastValueFrom, type Observable } from 'rxjs';
import {
  type Claim,
  IdempotencyKeys,
  InvalidIdempotencyKey,
  type Keyed,
  type KeyedAnswer,
  type KeyedRequest,
} from '../database/idempotency.js';
import { RawBody } from './body.js';
import { Created } from './created.js';
import type { Reply, Request } from './request.js';
import { policyOf, says } from './route-policy.js';

const KEY = /^[\x21-\x7e]{1,255}$/;

/** What the handler does is committed together with the work of other requests: it has to pass its `@Key` on to there. */
export const SharesTransaction = () => says({ sharesTransaction: true });

/** For a handler that shares its transaction: makes of the answer that it will give what is to be recorded with the key. */
export const Key = createParamDecorator((_: unknown, context: ExecutionContext): KeyFor => {
  const { claim, user } = context.switchToHttp().getRequest<Request>();
  const reply = context.switchToHttp().getResponse<Reply>();
  return (answer) => claim && { claim, answerOf: (done) => toRecord(answer(done), reply.statusCode, user?.id) };
});
export type KeyFor = <T, V>(answer: (done: T) => Created<V>) => Keyed<T> | undefined;

/** An answer that was given before: it goes out as it went then, but for `meta`. */
export class Replay {
  constructor(readonly answer: KeyedAnswer) {}
}

/**
 * Lets a POST with an `Idempotency-Key` have its effect once. All of its handler is one unit of work then, with the
 * key in it, unless it shares its transaction with others; whoever comes with the key again is answered from what was
 * recorded, whatever the body would be refused for today.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(private readonly keys: IdempotencyKeys) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    if (request.method !== 'POST') return next.handle();
    const given = request.raw.headersDistinct['idempotency-key'];
    if (given === undefined) return next.handle();
    const [scope, ...formerScopes] = this.scopesOf(request, context);
    if (scope === undefined) return next.handle();
    return from(this.once({ scope, formerScopes, key: keyOf(given) }, context, next));
  }

  private async once(
    key: Pick<KeyedRequest, 'scope' | 'formerScopes' | 'key'>,
    context: ExecutionContext,
    next: CallHandler,
  ): Promise<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const reply = context.switchToHttp().getResponse<Reply>();
    const isShared = policyOf(context).sharesTransaction === true;
    const { body, method, url: path } = request;
    const keyed = { ...key, method, path, body: body instanceof RawBody ? body.bytes : new Uint8Array() };
    let result: unknown;
    const handle = async (claim?: Claim) => {
      request.claim = claim;
      result = await lastValueFrom(next.handle());
      return toRecord(result, reply.statusCode, request.user?.id);
    };
    const replayed = await (isShared ? this.keys.onceAmongOthers(keyed, handle) : this.keys.once(keyed, handle));
    return replayed === undefined ? result : new Replay(replayed);
  }

  /**
   * Whose key it is, and what stood for them before; nothing where nobody has one, as on public routes and for bodies that
   * are refused anyway.
   */
  private scopesOf({ user, body }: Request, context: ExecutionContext): string[] {
    const emailOf = policyOf(context).keyedBy;
    if (emailOf === undefined) return user ? [IdempotencyKeys.scopeOfUser(user.id)] : [];
    if (!(body instanceof RawBody)) return [];
    try {
      const email = emailOf(body.parse());
      return typeof email === 'string' ? this.keys.scopesOfEmail(email) : [];
    } catch {
      return [];
    }
  }
}

/** @throws InvalidIdempotencyKey */
function keyOf(given: readonly string[]): string {
  const [key = ''] = given;
  if (given.length !== 1 || !KEY.test(key)) throw new InvalidIdempotencyKey();
  return key;
}

function toRecord(result: unknown, status: number, callerId: string | undefined): KeyedAnswer {
  if (!(result instanceof Created)) {
    return { status, location: null, body: result === undefined ? null : JSON.stringify(result), about: null };
  }
  const { location, subject = callerId } = result;
  const about = subject === callerId ? null : (subject ?? null);
  return { status, location, body: JSON.stringify(result.withoutSecrets()), about };
}
