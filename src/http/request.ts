import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DomainError } from '../errors.js';
import type { Principal } from '../permissions.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sends it; set by the authentication guard. */
    user?: Principal | undefined;
    /** Why the token that came with it is not good. Thrown only after the request has been counted. */
    refusal?: DomainError | undefined;
    /** Whether it has been counted against a limit. */
    isCounted?: boolean | undefined;
  }
}

export type Request = FastifyRequest;
export type Reply = FastifyReply;
