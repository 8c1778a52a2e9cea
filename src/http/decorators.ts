import { createParamDecorator, type ExecutionContext, Param, SetMetadata } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import type { Permission, Principal } from '../permissions.js';
import type { Request } from './request.js';
import { UuidPipe } from './validation.pipe.js';

export const PUBLIC = 'stoa:public';
export const REQUIRES = 'stoa:requires';
export const BARE = 'stoa:bare';
export const CACHEABLE = 'stoa:cacheable';
export const KEYED_BY_EMAIL = 'stoa:keyed-by-email';

/**
 * The route needs no login. A token that is sent all the same must be good, unless the route ignores it, as those do
 * that give out tokens: a client may well send its stale one along.
 */
export const Public = ({ ignoresToken = false } = {}) => SetMetadata(PUBLIC, { ignoresToken });
export interface PublicOptions {
  ignoresToken: boolean;
}

/** The route is for roles that have this permission on what is not their own. */
export const Requires = (permission: Permission) => SetMetadata(REQUIRES, permission);

/** The answer goes out as the handler made it, without the envelope. */
export const Bare = () => SetMetadata(BARE, true);

/** Answers to requests without a login may be kept by any cache for a short while. */
export const PubliclyCacheable = () => SetMetadata(CACHEABLE, true);

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
  return { ip: request.ip, userAgent: request.headers['user-agent'] ?? null };
});
export interface ClientInfo {
  ip: string;
  userAgent: string | null;
}

/** A UUID of the path; anything else is refused with 422. */
export const Id = (name = 'id') => Param(name, new UuidPipe(name));
export const ApiId = (name = 'id') => ApiParam({ name, schema: { type: 'string', format: 'uuid' } });
