import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { EventEmitter } from 'node:events';
import { parseCronItems, type JobHelpers, run, type Runner, type Task, type WorkerEvents } from 'graphile-worker';
import type { Logger } from 'pino';
import { Config } from '../../config.js';
import { KEEPALIVE } from '../../database/keepalive.js';
import { DatabaseMonitor } from '../../database/monitor.js';
import { Pool } from '../../database/pool.js';
import { Log } from '../../telemetry/logger.js';
import { Metrics } from '../../telemetry/metrics.js';
import { inSpan, SpanKind } from '../../telemetry/tracing.js';
import { describeFailure, PermanentFailure } from './failure.js';
import { createGraphileLogger } from './graphile-logger.js';
import { Heartbeat, LOST_AFTER_MS } from './heartbeat.js';
import { JobsRepository } from './jobs.repository.js';
import { DEFAULT_ATTEMPTS, type JobHandler, Registry, type Schedule } from './registry.js';
import { Repeats } from './repeats.js';

/** Handlers wait for others more than they compute. A waiting one holds no connection of the worker's. */
const JOBS_AT_ONCE = 16;
/** One listens for new jobs; the others fetch and finish them, which takes less than a millisecond each. */
const CONNECTIONS = 4;
/** New jobs are heard of at once. This is for those whose time has come. */
const POLL_MS = 2000;
const TAKE_OVER_EVERY_MS = 3000;
const LONGEST_BACKOFF_MS = 10_000;
/** Of the time to stop, what has to be left for all else once jobs that did not end have been given back. */
const RESERVED_TO_STOP_MS = 5000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Works jobs, from `start` until the application shuts down. A process that never starts it works none. */
@Injectable()
export class JobsWorker implements BeforeApplicationShutdown {
  private readonly repeats: Repeats;
  private readonly stopping = new AbortController();
  private working: Promise<void> | undefined;
  private stopped: Promise<void> | undefined;
  private pool: Pool | undefined;
  private round: { runner: Runner; id: string; heartbeat: Heartbeat } | undefined;

  constructor(
    private readonly registry: Registry,
    private readonly jobs: JobsRepository,
    private readonly database: DatabaseMonitor,
    private readonly config: Config,
    private readonly metrics: Metrics,
    @Log() private readonly logger: Logger,
  ) {
    this.repeats = new Repeats(logger);
  }

  /** To be called when all modules have said what they handle. */
  start(): void {
    this.working = this.workOn();
    const takeOver = { name: 'jobs.take-over', everyMs: TAKE_OVER_EVERY_MS, work: () => this.takeOver() };
    this.repeats.start([...this.registry.repeats, takeOver]);
  }

  /** Takes no more jobs; lets those in work end, or gives them back where that takes too long. */
  stop(): Promise<void> {
    this.stopped ??= this.working === undefined ? Promise.resolve() : this.finish(this.working);
    return this.stopped;
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.stop();
  }

  private async finish(working: Promise<void>): Promise<void> {
    this.stopping.abort();
    const ended = Promise.all([this.repeats.stop(), this.round?.runner.stop().catch(() => undefined), working]);
    const patienceMs = Math.max(1000, this.config.shutdownTimeout * 1000 - RESERVED_TO_STOP_MS);
    const patience = sleep(patienceMs, undefined, { ref: false });
    // Nothing can be given back to a database that is away, and what it is asked would only keep us.
    if (!(await this.database.answers())) this.pool?.giveUp();
    await Promise.race([ended, patience.then(() => this.giveBack())]);
  }

  /** graphile-worker ends where it could not finish a job, which is what happens when the database goes away. */
  private async workOn(): Promise<void> {
    for (let failures = 0; !this.stopping.signal.aborted;) {
      const began = Date.now();
      try {
        await this.workRound();
      } catch (error) {
        this.logger.warn({ reason: describeFailure(error, null) }, 'Jobs could not be worked');
      }
      failures = Date.now() - began > LONGEST_BACKOFF_MS ? 0 : failures + 1;
      const backoff = Math.min(500 * 2 ** failures, LONGEST_BACKOFF_MS) * (0.5 + Math.random() / 2);
      await sleep(backoff, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }

  /** Works jobs until something ends it. */
  private async workRound(): Promise<void> {
    const pool = new Pool({
      connectionString: this.config.databaseUrl,
      application_name: 'stoa jobs',
      max: CONNECTIONS,
      keepAlive: true,
      options: KEEPALIVE,
      connectionTimeoutMillis: 5000,
      query_timeout: 10_000,
      statement_timeout: 10_000,
    });
    this.pool = pool;
    const ignore = (): void => undefined; // Whoever speaks to the database next finds out.
    pool.on('error', ignore);
    pool.on('connect', (client) => client.on('error', ignore));

    const events: WorkerEvents = new EventEmitter();
    let id = '';
    events.on('pool:create', ({ workerPool }) => (id = workerPool.id));
    try {
      const runner = await run({
        pgPool: pool,
        schema: 'graphile_worker',
        events,
        taskList: this.taskList(),
        parsedCronItems: parseCronItems(this.registry.schedules.map(toCronItem)),
        logger: createGraphileLogger(this.logger),
        noHandleSignals: true,
        pollInterval: POLL_MS,
        concurrency: JOBS_AT_ONCE,
        // Without a batch nobody would wait for a job to be marked as done, and a failure there ended the process.
        preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      });
      this.round = { runner, id, heartbeat: new Heartbeat(pool, id) };
      if (this.stopping.signal.aborted) await runner.stop();
      await Promise.race([runner.promise, this.round.heartbeat.silence]);
    } finally {
      this.round?.heartbeat.stop();
      void this.round?.runner.stop().catch(ignore);
      this.round = undefined;
      // Also the connections that wait for an answer which is never to come.
      pool.giveUp();
      void pool.end().catch(ignore);
    }
  }

  private taskList(): Record<string, Task> {
    return Object.fromEntries([...this.registry.handlers].map(([task, handler]) => [task, this.toTask(task, handler)]));
  }

  private toTask(task: string, handler: JobHandler): Task {
    return async (payload, { job }: JobHelpers) => {
      const { id, attempts: attempt, max_attempts: maxAttempts } = job;
      const began = performance.now();
      const facts = (): object => ({
        task,
        job: id,
        attempt,
        durationMs: Math.round(performance.now() - began),
      });
      const observe = (outcome: 'done' | 'failed' | 'dead'): void => {
        this.metrics.observeJob(task, outcome, (performance.now() - began) / 1000);
      };
      try {
        const attributes = { 'stoa.job.id': id, 'stoa.job.attempt': attempt };
        await inSpan(`job ${task}`, SpanKind.CONSUMER, attributes, () =>
          handler(payload as object, { attempt, maxAttempts }),
        );
        observe('done');
        this.logger.info({ ...facts(), outcome: 'done' }, 'Job done');
      } catch (error) {
        const reason = describeFailure(error, payload);
        const permanent = error instanceof PermanentFailure;
        const isDead = permanent || attempt >= maxAttempts;
        observe(isDead ? 'dead' : 'failed');
        this.logger.warn(
          { ...facts(), outcome: isDead ? 'dead' : 'failed', reason, ...(!permanent && { at: framesOf(error) }) },
          isDead ? 'Job failed for good' : 'Job failed, to be tried again',
        );
        await this.jobs.prepareFailure(id, { permanent }).catch(() => undefined);
        // This is what is kept, and shown by the API: the cause stays here.
        // eslint-disable-next-line preserve-caught-error
        throw new Error(reason);
      }
    };
  }

  private async takeOver(): Promise<void> {
    if (this.round?.heartbeat.isSteady !== true) return;
    const jobs = await this.jobs.takeFromLost(LOST_AFTER_MS);
    if (jobs > 0) this.logger.warn({ jobs }, 'A worker was lost: its jobs are free again');
  }

  private async giveBack(): Promise<void> {
    if (this.round === undefined) return;
    this.logger.warn('Jobs were still running when the time to stop was up: they are given back');
    await this.jobs.giveBack(this.round.id).catch(() => undefined);
  }
}

/** Where it was thrown, without the message, which may hold anything. */
function framesOf(error: unknown): string[] {
  const lines = error instanceof Error ? (error.stack ?? '').split('\n') : [];
  return lines.filter((line) => /^\s+at /.test(line)).map((line) => line.trim());
}

const toCronItem = ({ name, cron }: Schedule) => ({
  task: name,
  match: cron,
  identifier: name,
  // One of them waiting is enough, however many times were missed.
  options: { backfillPeriod: DAY_MS, jobKey: `schedule ${name}`, maxAttempts: DEFAULT_ATTEMPTS },
});
