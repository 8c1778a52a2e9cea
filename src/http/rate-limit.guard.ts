import { type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  InjectThrottlerOptions,
  InjectThrottlerStorage,
  ThrottlerGuard,
  type ThrottlerModuleOptions,
  type ThrottlerStorage,
} from '@nestjs/throttler';
import type { Config } from '../config.js';
import type { Reply, Request } from './request.js';
import { RequestLimits } from './request-limits.js';
import { policyOf } from './route-policy.js';

/** One throttler for every request, so that a route can be exempt by `@SkipThrottle({ requests: true })`. */
export const rateLimits = ({ rateLimit }: Config): ThrottlerModuleOptions => [
  { name: 'requests', ttl: rateLimit.window * 1000, limit: rateLimit.anonymous },
];

/** Throttler's guard, with our way to count in place of its fixed windows, and with what a route says read once. */
@Injectable()
export class RateLimitGuard extends ThrottlerGuard {
  constructor(
    @InjectThrottlerOptions() options: ThrottlerModuleOptions,
    @InjectThrottlerStorage() storage: ThrottlerStorage,
    reflector: Reflector,
    private readonly limits: RequestLimits,
  ) {
    super(options, storage, reflector);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const { isUncounted, limitedBy } = policyOf(context);
    if (isUncounted) return true;
    const http = context.switchToHttp();
    await this.limits.count(http.getRequest<Request>(), http.getResponse<Reply>(), limitedBy);
    return true;
  }
}
