import { type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  InjectThrottlerOptions,
  InjectThrottlerStorage,
  ThrottlerGuard,
  type ThrottlerModuleOptions,
  type ThrottlerRequest,
  type ThrottlerStorage,
} from '@nestjs/throttler';
import type { Config } from '../config.js';
import { LIMITED_BY } from './decorators.js';
import type { Reply, Request } from './request.js';
import { type Purpose, RequestLimits } from './request-limits.js';

/** One throttler for every request, so that a route can be exempt by `@SkipThrottle({ requests: true })`. */
export const rateLimits = ({ rateLimit }: Config): ThrottlerModuleOptions => [
  { name: 'requests', ttl: rateLimit.window * 1000, limit: rateLimit.anonymous },
];

/** Refuses what is over the limit. Which routes are exempt is Throttler's affair, how to count is ours. */
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

  protected override async handleRequest({ context }: ThrottlerRequest): Promise<boolean> {
    const http = context.switchToHttp();
    await this.limits.count(http.getRequest<Request>(), http.getResponse<Reply>(), this.purposeOf(context));
    return true;
  }

  private purposeOf(context: ExecutionContext): Purpose | undefined {
    return this.reflector.get<Purpose | undefined>(LIMITED_BY, context.getHandler());
  }
}
