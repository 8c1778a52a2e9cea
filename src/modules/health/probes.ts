import { statfs } from 'node:fs/promises';
import { Injectable, ServiceUnavailableException } from '@nestjs/common';
import {
  type HealthCheckResult,
  HealthCheckService,
  type HealthIndicatorResult,
  HealthIndicatorService,
} from '@nestjs/terminus';
import { Config } from '../../config.js';
import { DatabaseMonitor } from '../../database/monitor.js';
import { Redis } from '../../redis/redis.js';
import { Lifecycle } from './lifecycle.js';

const ENOUGH_DISK_BYTES = 64 * 1024 * 1024;

export interface Health {
  status: 'healthy' | 'degraded' | 'unhealthy';
  checks: Record<string, string>;
}

/** What load balancers and Kubernetes ask of a process, whether it serves or works jobs alone. */
@Injectable()
export class Probes {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicator: HealthIndicatorService,
    private readonly database: DatabaseMonitor,
    private readonly redis: Redis,
    private readonly config: Config,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Whether everything that Stoa needs is there. */
  whole(): Promise<Health> {
    return this.check([() => this.databaseCheck(), () => this.cache(), () => this.disk()]);
  }

  /** Whether the process can answer at all, whatever else is going on. */
  live(): Promise<Health> {
    return Promise.resolve({ status: 'healthy', checks: {} });
  }

  /** Whether requests should be sent here now. */
  ready(): Promise<Health> {
    return this.check([() => this.databaseCheck(), () => this.schema(), () => this.cache(), () => this.server()]);
  }

  private async check(indicators: (() => Promise<HealthIndicatorResult>)[]): Promise<Health> {
    // Terminus throws what it found where anything is down; both ways it is what we tell.
    const { details, status } = await this.health.check(indicators).catch((error: unknown) => {
      if (error instanceof ServiceUnavailableException) return error.getResponse() as HealthCheckResult;
      throw error;
    });
    const healthy = status === 'ok';
    const checks = Object.fromEntries(Object.entries(details).map(([name, { state }]) => [name, String(state)]));
    if (!healthy) return { status: 'unhealthy', checks };
    return { status: checks.cache === 'disconnected' ? 'degraded' : 'healthy', checks };
  }

  private async databaseCheck(): Promise<HealthIndicatorResult> {
    const check = this.indicator.check('database');
    return (await this.database.answers()) ? check.up({ state: 'connected' }) : check.down({ state: 'disconnected' });
  }

  private async schema(): Promise<HealthIndicatorResult> {
    const check = this.indicator.check('schema');
    return (await this.database.isMigrated()) ? check.up({ state: 'migrated' }) : check.down({ state: 'incomplete' });
  }

  /** Up in any case: without Redis all goes on, each process for itself; and without one configured it always does. */
  private async cache(): Promise<HealthIndicatorResult> {
    const isThere = !this.redis.isConfigured || (await this.redis.isThere());
    return this.indicator.check('cache').up({ state: isThere ? 'connected' : 'disconnected' });
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
