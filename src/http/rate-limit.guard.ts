import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ThrottlerGuard, type ThrottlerModuleOptions, type ThrottlerRequest } from '@nestjs/throttler';
import type { Config } from '../config.js';
import { DomainError, type ErrorCode } from '../errors.js';
import type { Reply, Request } from './request.js';
import { SlidingWindows } from './sliding-windows.js';

export class RateLimited extends DomainError {
  readonly code: ErrorCode = 'RATE_LIMITED';
  constructor(readonly retryAfter: number) {
    super(`Too many requests, try again in ${retryAfter} s`);
  }
}

const requestOf = (context: ExecutionContext): Request => context.switchToHttp().getRequest<Request>();

/** One limit for every request: by user where one is known, by address where not. */
export function rateLimits({ rateLimit }: Config): ThrottlerModuleOptions {
  const limitOf = (context: ExecutionContext): number =>
    requestOf(context).user === undefined ? rateLimit.anonymous : rateLimit.user;
  return {
    throttlers: [
      { name: 'requests', ttl: rateLimit.window * 1000, limit: limitOf, skipIf: (context) => limitOf(context) === 0 },
    ],
    generateKey: (_context, tracker) => tracker,
    storage: new SlidingWindows(),
  };
}

/** Refuses what is over the limit, and tells everyone where they stand, in both kinds of headers that are in use. */
@Injectable()
export class RateLimitGuard extends ThrottlerGuard {
  protected override async getTracker(request: Request): Promise<string> {
    return request.user === undefined ? `ip:${await super.getTracker(request)}` : `user:${request.user.id}`;
  }

  protected override async handleRequest({
    context,
    limit,
    ttl,
    throttler,
    getTracker,
    generateKey,
  }: ThrottlerRequest): Promise<boolean> {
    const request = requestOf(context);
    const reply = context.switchToHttp().getResponse<Reply>();
    const name = request.user === undefined ? 'anonymous' : 'user';
    const key = generateKey(context, await getTracker(request, context), name);
    const hit = await this.storageService.increment(key, ttl, limit, 0, throttler.name ?? name);

    const remaining = Math.max(0, limit - hit.totalHits);
    const reset = hit.timeToExpire;
    reply.headers({
      'RateLimit-Limit': limit,
      'RateLimit-Remaining': remaining,
      'RateLimit-Reset': reset,
      // https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
      'RateLimit-Policy': `"${name}";q=${limit};w=${ttl / 1000}`,
      RateLimit: `"${name}";r=${remaining};t=${reset}`,
    });
    if (hit.isBlocked) throw new RateLimited(hit.timeToBlockExpire);
    return true;
  }
}
