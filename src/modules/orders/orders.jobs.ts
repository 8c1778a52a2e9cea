import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { isLockTimeout, isUnavailable } from '../../database/postgres-errors.js';
import { Log } from '../../telemetry/logger.js';
import { JobsService } from '../jobs/index.js';
import { FulfilmentService } from './fulfilment.service.js';
import { OrdersRepository, type Overdue } from './orders.repository.js';

const EVERY_MS = 1000;
const BATCH = 100;

/** Gives up the orders that are not paid in time. Safe in any number of processes at once. */
@Injectable()
export class OrdersJobs implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly orders: OrdersRepository,
    private readonly fulfilment: FulfilmentService,
    @Log() private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.jobs.repeat('orders.expire', EVERY_MS, () => this.expire());
  }

  /** Each order in a transaction of its own, so that one which fails keeps none of the others. */
  private async expire(): Promise<void> {
    const now = new Date();
    let last: Overdue | undefined;
    for (let found = BATCH; found === BATCH;) {
      const overdue = await this.orders.findOverdue(now, last, BATCH);
      for (const { id } of overdue) {
        try {
          await this.fulfilment.expire(id, now);
        } catch (error) {
          // An outage is of no one order: all that follow would fail likewise. A row that somebody holds is.
          if (isUnavailable(error) && !isLockTimeout(error)) throw error;
          this.logger.error({ err: error, orderId: id }, 'Could not give up an unpaid order');
        }
      }
      found = overdue.length;
      last = overdue.at(-1);
    }
  }
}
