import { statfs } from 'node:fs/promises';
import { Controller, Get, Res, ServiceUnavailableException, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import {
  type HealthCheckResult,
  HealthCheckService,
  type HealthIndicatorResult,
  HealthIndicatorService,
} from '@nestjs/terminus';
import { SkipThrottle } from '@nestjs/throttler';
import { Config } from '../../config.js';
import { DatabaseMonitor } from '../../database/monitor.js';
import { Bare, Public } from '../../http/decorators.js';
import type { Reply } from '../../http/request.js';
import { Lifecycle } from './lifecycle.js';

const ENOUGH_DISK_BYTES = 64 * 1024 * 1024;

interface Health {
  status: 'healthy' | 'unhealthy';
  checks: Record<string, string>;
}

/** For load balancers and Kubernetes: no envelope, no login, no limit. */
@ApiExcludeController()
@Bare()
@Public({ ignoresToken: true })
@SkipThrottle({ requests: true })
@Controller({ path: 'health', version: VERSION_NEUTRAL })
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicator: HealthIndicatorService,
    private readonly database: DatabaseMonitor,
    private readonly config: Config,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Whether everything that Stoa needs is there. */
  @Get()
  get(@Res({ passthrough: true }) reply: Reply): Promise<Health> {
    return this.check(reply, [() => this.databaseCheck(), () => this.cache(), () => this.disk()]);
  }

  /** Whether the process can answer at all, whatever else is going on. */
  @Get('live')
  live(): Health {
    return { status: 'healthy', checks: {} };
  }

  /** Whether requests should be sent here now. */
  @Get('ready')
  ready(@Res({ passthrough: true }) reply: Reply): Promise<Health> {
    return this.check(reply, [() => this.databaseCheck(), () => this.server()]);
  }

  private async check(reply: Reply, indicators: (() => Promise<HealthIndicatorResult>)[]): Promise<Health> {
    // Terminus throws what it found where anything is down; both ways it is what we tell.
    const { details, status } = await this.health.check(indicators).catch((error: unknown) => {
      if (error instanceof ServiceUnavailableException) return error.getResponse() as HealthCheckResult;
      throw error;
    });
    const healthy = status === 'ok';
    if (!healthy) void reply.status(503).header('Retry-After', 1);
    const checks = Object.entries(details).map(([name, { state }]) => [name, String(state)]);
    return { status: healthy ? 'healthy' : 'unhealthy', checks: Object.fromEntries(checks) as Record<string, string> };
  }

  private async databaseCheck(): Promise<HealthIndicatorResult> {
    const check = this.indicator.check('database');
    return (await this.database.answers()) ? check.up({ state: 'connected' }) : check.down({ state: 'disconnected' });
  }

  /** The cache is in this process, so it is there whenever the process is. */
  private cache(): Promise<HealthIndicatorResult> {
    return Promise.resolve(this.indicator.check('cache').up({ state: 'connected' }));
  }

  private async disk(): Promise<HealthIndicatorResult> {
    const check = this.indicator.check('disk');
    const { bavail, bsize } = await statfs(this.config.inProduction ? '/' : '.');
    return bavail * bsize > ENOUGH_DISK_BYTES ? check.up({ state: 'sufficient' }) : check.down({ state: 'low' });
  }

  private server(): Promise<HealthIndicatorResult> {
    const check = this.indicator.check('server');
    return Promise.resolve(
      this.lifecycle.isStopping ? check.down({ state: 'stopping' }) : check.up({ state: 'serving' }),
    );
  }
}
