import { createParamDecorator, type ExecutionContext, Param } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { addressOf } from '../limits/network.js';
import type { Permission, Principal } from '../permissions.js';
import type { Request } from './request.js';
import type { Purpose } from './request-limits.js';
import { type EmailOfBody, says } from './route-policy.js';
import { UuidPipe } from './validation.pipe.js';

/**
 * The route needs no login. A token that is sent all the same must be good, unless the route ignores it, as those do
 * that give out tokens: a client may well send its stale one along. Or it forgives a bad one, and knows who sends a good one.
 */
export const Public = ({ ignoresToken = false, forgivesToken = false } = {}) =>
  says({ public: { ignoresToken, forgivesToken } });

/** The route is for roles that have this permission on what is not their own. */
export const Requires = (permission: Permission) => says({ requires: permission });

/** The answer goes out as the handler made it, without the envelope. */
export const Bare = () => says({ isBare: true });

/** Answers to requests without a login may be kept by any cache for a short while. */
export const PubliclyCacheable = () => says({ isCacheable: true });

/**
 * A public POST that takes an `Idempotency-Key` like those of users do: the key belongs to the email that the body
 * names. What is found there may be anything.
 */
export const KeyedByEmail = (emailOf: EmailOfBody) => says({ keyedBy: emailOf });

/** The route counts against a limit of its own for each address, beside the one for all requests. */
export const LimitedBy = (purpose: Purpose) => says({ limitedBy: purpose });

/** Who sends the request. Only for routes that are not public. */
export const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { user } = context.switchToHttp().getRequest<Request>();
  if (user === undefined) throw new Error('A handler that asks for @CurrentUser must not be @Public');
  return user;
});

/** Who sends the request, if they said so. For public routes. */
export const MaybeUser = createParamDecorator(
  (_: unknown, context: ExecutionContext): Principal | undefined => context.switchToHttp().getRequest<Request>().user,
);

/** Who sends the request, from where and with what. */
export const Client = createParamDecorator((_: unknown, context: ExecutionContext): ClientInfo => {
  const request = context.switchToHttp().getRequest<Request>();
  return { ip: addressOf(request.ip) ?? null, userAgent: request.headers['user-agent'] ?? null };
});
export interface ClientInfo {
  ip: string | null;
  userAgent: string | null;
}

/** A UUID of the path; anything else is refused with 422. */
export const Id = (name = 'id') => Param(name, new UuidPipe(name));
export const ApiId = (name = 'id') => ApiParam({ name, schema: { type: 'string', format: 'uuid' } });
