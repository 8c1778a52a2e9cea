import { randomBytes } from 'node:crypto';
import { type DynamicModule, Global, Module, type Provider } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { Config } from './config.js';
import { DatabaseModule } from './database/database.module.js';
import { CursorKeys } from './database/paging.js';
import { AuthenticationGuard } from './http/authentication.guard.js';
import { AuthorizationGuard } from './http/authorization.guard.js';
import { EnvelopeInterceptor } from './http/envelope.interceptor.js';
import { ErrorFilter } from './http/error.filter.js';
import { IdempotencyInterceptor } from './http/idempotency.interceptor.js';
import { UnreadInputGuard } from './http/unread-input.guard.js';
import { RateLimitGuard, rateLimits } from './http/rate-limit.guard.js';
import { RequestLimits } from './http/request-limits.js';
import { UnmatchedController } from './http/unmatched.controller.js';
import { RouteGuard } from './http/route.guard.js';
import { RequestValidationPipe } from './http/validation.pipe.js';
import { LimitsModule } from './limits/limits.module.js';
import { AuthModule } from './modules/auth/index.js';
import { CatalogueModule } from './modules/catalogue/index.js';
import { CheckoutModule } from './modules/checkout/index.js';
import { EventsModule } from './modules/events/index.js';
import { HealthModule } from './modules/health/index.js';
import { JobsModule } from './modules/jobs/index.js';
import { LedgerModule } from './modules/ledger/index.js';
import { MailModule } from './modules/mail/index.js';
import { OrdersModule } from './modules/orders/index.js';
import { UsersModule } from './modules/users/index.js';
import { WebhooksModule } from './modules/webhooks/index.js';
import { Redis } from './redis/redis.js';
import { SignalsModule } from './signals/signals.module.js';
import { LOGGER } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';

/** What main.ts has opened before there is an application. */
export interface Foundations {
  config: Config;
  logger: Logger;
  dataSource: DataSource;
  cursorKeys: CursorKeys;
  redis: Redis;
  metrics: Metrics;
}

/** Everything global, in the order in which a request meets it; `http/fastify.ts` has what comes before and after. */
const pipeline: Provider[] = [
  { provide: APP_GUARD, useClass: RouteGuard },
  { provide: APP_GUARD, useClass: AuthenticationGuard },
  { provide: APP_GUARD, useClass: RateLimitGuard },
  { provide: APP_GUARD, useClass: AuthorizationGuard },
  { provide: APP_GUARD, useClass: UnreadInputGuard },
  // It has the other within it: each that Nest itself wraps around the rest costs several promises and observables.
  { provide: APP_INTERCEPTOR, useClass: EnvelopeInterceptor },
  IdempotencyInterceptor,
  // The last thing before the handler.
  { provide: APP_PIPE, useClass: RequestValidationPipe },
  { provide: APP_FILTER, useExisting: ErrorFilter },
  ErrorFilter,
  RequestLimits,
];

@Global()
@Module({})
class FoundationsModule {}

@Module({})
export class AppModule {
  static on({ config, logger, dataSource, cursorKeys, redis, metrics }: Foundations): DynamicModule {
    const values: Provider[] = [
      { provide: Config, useValue: config },
      { provide: LOGGER, useValue: logger },
      { provide: Redis, useValue: redis },
      { provide: Metrics, useValue: metrics },
    ];
    return {
      module: AppModule,
      imports: [
        { module: FoundationsModule, providers: values, exports: values },
        DatabaseModule.over(dataSource, cursorKeys),
        SignalsModule,
        ThrottlerModule.forRoot(rateLimits(config)),
        LimitsModule,
        AuthModule,
        UsersModule,
        CatalogueModule,
        OrdersModule,
        CheckoutModule,
        LedgerModule,
        EventsModule,
        JobsModule,
        MailModule,
        WebhooksModule,
        HealthModule,
      ],
      controllers: [UnmatchedController],
      providers: pipeline,
    };
  }

  /** The same for a program that serves nobody: it counts no requests, gives out no cursors and makes no first admin. */
  static offline(config: Config, logger: Logger, dataSource: DataSource): DynamicModule {
    return AppModule.on({
      config: config.with({ admin: undefined }),
      logger,
      dataSource,
      cursorKeys: new CursorKeys([randomBytes(32)]),
      redis: new Redis(undefined, logger),
      metrics: new Metrics(),
    });
  }
}
