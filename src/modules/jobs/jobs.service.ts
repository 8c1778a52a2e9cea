import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Metrics, type Sample } from '../../telemetry/metrics.js';
import { type Job, JOB_STATES } from './job.entity.js';
import { JobIsRunning, JobNotFound } from './jobs.errors.js';
import { type JobFilters, JobsRepository } from './jobs.repository.js';
import { DEFAULT_ATTEMPTS, type JobHandler, Registry } from './registry.js';

const DEAD_FOR_DAYS = 30;
/** Past so many it matters no more how many there are, and counting them costs. */
const MOST_COUNTED = 10_000;

export interface EnqueueOptions {
  /** Not before this time. */
  runAt?: Date;
  maxAttempts?: number;
  /** Jobs of one queue are worked one after the other, by whoever works them. */
  queue?: string;
  /** There is one waiting job with this key at most: a second takes the place of the first. */
  key?: string;
}

@Injectable()
export class JobsService implements OnModuleInit {
  constructor(
    private readonly jobs: JobsRepository,
    private readonly registry: Registry,
    private readonly unitOfWork: UnitOfWork,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    this.schedule('jobs.clean', '13 3 * * *', () => this.jobs.deleteDead(DEAD_FOR_DAYS));
    this.metrics.gaugesOf(
      {
        stoa_jobs: {
          help: `Jobs that are not done, by state; counted up to ${MOST_COUNTED} in all`,
          labels: ['state'],
        },
        stoa_jobs_oldest_ready_age_seconds: { help: 'How long the job that waits the longest could have been worked' },
      },
      () => this.measure(),
    );
  }

  /**
   * Leaves work for later, in the running unit of work: it is there once that has committed, and not at all otherwise.
   * It is done at least once, as soon as there is a free worker.
   */
  async enqueue(task: string, payload: object, options: EnqueueOptions = {}): Promise<void> {
    await this.jobs.add(task, payload, { maxAttempts: DEFAULT_ATTEMPTS, ...options });
  }

  /**
   * Lets go of the jobs of this name whose payload has these fields, in the running unit of work: they are not done, nor
   * kept where they have failed. One that is just being worked loses its payload, and fails where it has to be tried again.
   */
  async discard(task: string, fields: object): Promise<void> {
    await this.jobs.discard(task, fields);
  }

  /** Says who does the jobs of this name. To be called in `onModuleInit`. */
  handle<P extends object>(task: string, handler: JobHandler<P>): void {
    this.registry.addHandler(task, handler as JobHandler);
  }

  /**
   * Does something at certain times (UTC), in one process of all that work jobs. What falls into a time when none did
   * is made up for once, when it is not older than a day. To be called in `onModuleInit`.
   *
   * @param cron minute, hour, day, month, day of the week
   */
  schedule(name: string, cron: string, handler: () => Promise<void>): void {
    this.registry.addHandler(name, handler);
    this.registry.schedules.push({ name, cron });
  }

  /**
   * Does something over and over, in every process that works jobs: it has to be safe for several at once. It never
   * overlaps itself in one process; an error is logged and no more. To be called in `onModuleInit`.
   */
  repeat(name: string, everyMs: number, work: () => Promise<void>): void {
    this.registry.repeats.push({ name, everyMs, work });
  }

  list(filters: JobFilters, request: PageRequest, caller: string): Promise<Page<Job>> {
    return this.jobs.findPage(filters, request, caller);
  }

  /**
   * Puts a job to the head of the line, with all its attempts before it.
   *
   * @throws JobNotFound, JobIsRunning
   */
  retry(id: string): Promise<Job> {
    return this.unitOfWork.run(async () => {
      const isWaiting = await this.jobs.reset(id);
      const job = await this.jobs.findById(id);
      if (job === null) throw new JobNotFound();
      if (!isWaiting) throw new JobIsRunning();
      return job;
    });
  }

  private async measure(): Promise<Sample[]> {
    const { counts, oldestReadySeconds } = await this.jobs.backlog(MOST_COUNTED);
    return [
      ...JOB_STATES.map((state) => ({ name: 'stoa_jobs', labels: { state }, value: counts[state] ?? 0 })),
      { name: 'stoa_jobs_oldest_ready_age_seconds', value: oldestReadySeconds },
    ];
  }
}
