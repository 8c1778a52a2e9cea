import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Claim } from '../database/idempotency.js';
import type { DomainError } from '../errors.js';
import type { Taken } from '../limits/limiter.js';
import type { Principal } from '../permissions.js';
import type { Span } from '../telemetry/tracing.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sends it; set by the authentication guard. */
    user?: Principal | undefined;
    /** Why the token that came with it is not good. Thrown only after the request has been counted. */
    refusal?: DomainError | undefined;
    /** Its part of a trace, where traces are wanted. */
    span?: Span | undefined;
    /** Whether it has been counted against a limit, or need not be. */
    isCounted?: boolean | undefined;
    /** Whether it has come whole, and has no answer yet. */
    isUnderWay?: boolean | undefined;
    /** The places that it has taken in the windows of its limits. */
    taken?: Taken | undefined;
    /** Its idempotency key, where that goes into a transaction which it shares with other requests. */
    claim?: Claim | undefined;
  }
}

export type Request = FastifyRequest;
export type Reply = FastifyReply;

/** A URL as a request has it, without its query. */
export const pathOf = (url = ''): string => url.split('?', 1)[0] ?? '';
