import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { Log } from '../../telemetry/logger.js';
import { Metrics } from '../../telemetry/metrics.js';
import { JobsService } from '../jobs/index.js';
import { AccountsRepository } from './ledger.repository.js';

const EVERY_MS = 300_000;
/** At two index look-ups for each and each of its accounts: a few milliseconds, however long the books are. */
const NEWEST = 500;

/** Looks over what was booked last, so that books which do not add up are heard of before anybody asks. */
@Injectable()
export class LedgerJobs implements OnModuleInit {
  private faults: number | undefined;
  private checkedAt: number | undefined;

  constructor(
    private readonly accounts: AccountsRepository,
    private readonly jobs: JobsService,
    private readonly metrics: Metrics,
    @Log() private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.jobs.repeat('ledger.check', EVERY_MS, () => this.check());
    this.metrics.gauge(
      'stoa_ledger_check_faults',
      `Of the newest ${NEWEST} transfers and their accounts, how many do not add up`,
      () => this.faults,
    );
    this.metrics.gauge('stoa_ledger_check_timestamp_seconds', 'When that was looked at', () => this.checkedAt);
  }

  private async check(): Promise<void> {
    const faults = await this.accounts.faultsOfNewest(NEWEST);
    this.faults = faults.length;
    this.checkedAt = Date.now() / 1000;
    if (faults.length > 0) this.logger.error({ faults: faults.slice(0, 20) }, 'The books do not add up');
  }
}
