import { setImmediate as afterPolling, setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { Config } from '../config.js';
import { Log } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import { poolOf, STATEMENT_TIMEOUT_MS } from './data-source.js';
import { KEEPALIVE } from './keepalive.js';
import { knownMigrations } from './migrate.js';
import type { Pool } from './pool.js';

/** With the interval: a silent database is noticed, and everybody who waits for it told, within 3 s. */
const SILENCE_MS = 2000;
const STEP_MS = 200;
const INTERVAL_MS = 500;
const INTERVAL_WHILE_AWAY_MS = 250;

/**
 * Asks the database over and over whether it is there, over a connection of its own. A stopped database refuses, but
 * one that is frozen or behind a broken network says nothing at all, and who waits for its answer would wait for ever. So
 * would who has one of many connections of which something in between has lost track: no statement takes as long.
 */
@Injectable()
export class DatabaseMonitor implements OnModuleInit, OnModuleDestroy {
  private readonly pool: Pool;
  private readonly migrations: string[];
  private client: pg.Client | undefined;
  private asking: Promise<boolean> | undefined;
  private isStopped = false;
  private isUp = true;

  constructor(
    dataSource: DataSource,
    private readonly config: Config,
    private readonly metrics: Metrics,
    @Log() private readonly logger: Logger,
  ) {
    this.pool = poolOf(dataSource);
    this.migrations = knownMigrations(dataSource);
  }

  onModuleInit(): void {
    this.metrics.gauge('stoa_database_up', '1 while the database answers, else 0', () => Number(this.isUp));
    this.measurePool();
    void this.run();
  }

  async onModuleDestroy(): Promise<void> {
    this.isStopped = true;
    await this.asking;
    this.drop();
  }

  /** Whether it answers now; known after 2 s of this process's own time. */
  answers(): Promise<boolean> {
    this.asking ??= this.ask()
      .then((isUp) => this.note(isUp))
      .finally(() => {
        this.asking = undefined;
      });
    return this.asking;
  }

  /** Whether it answers, and has every migration that this release needs: not so where an older backup was put back. */
  async isMigrated(): Promise<boolean> {
    if (!(await this.answers()) || this.client === undefined) return false;
    const found = this.client.query('SELECT FROM migrations WHERE name = ANY ($1)', [this.migrations]);
    const hasAll = found.then(({ rowCount }) => {
      if (rowCount !== this.migrations.length) throw new Error('The schema is older than this release');
    });
    return (await outcomeOf(hasAll)) === 'answered';
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const isUp = await this.answers();
      this.pool.cutSilent(STATEMENT_TIMEOUT_MS + SILENCE_MS);
      await sleep(isUp ? INTERVAL_MS : INTERVAL_WHILE_AWAY_MS, undefined, { ref: false });
    }
  }

  private measurePool(): void {
    const { pool, metrics } = this;
    pool.onAcquire = (seconds) => {
      metrics.observeAcquisition(seconds);
    };
    const name = (what: string) => `stoa_database_pool_${what}`;
    metrics.gauge(name('connections_max'), 'Connections that there may be', () => this.config.databasePool.max);
    metrics.gauge(name('connections'), 'Connections that there are', () => pool.totalCount);
    metrics.gauge(name('connections_idle'), 'Connections that nobody uses', () => pool.idleCount);
    metrics.gauge(name('waiting'), 'Who waits for a connection', () => pool.queued);
  }

  /** Before anybody is told: who hears that the database is there must find it there. */
  private note(isUp: boolean): boolean {
    if (isUp !== this.isUp) {
      this.isUp = isUp;
      if (isUp) {
        this.logger.info('The database is back');
        this.pool.resume();
      } else {
        this.logger.warn('The database is away');
        this.pool.giveUp();
      }
    }
    return isUp;
  }

  private async ask(): Promise<boolean> {
    const kept = this.client;
    let outcome = kept === undefined ? 'refused' : await outcomeOf(mayWrite(kept));
    if (outcome === 'answered') return true;
    this.drop();
    // That one connection was cut says nothing about the next; silence does.
    if (outcome === 'silent' || this.isStopped) return false;

    const client = new pg.Client({
      connectionString: this.config.databaseUrl,
      application_name: 'stoa monitor',
      options: KEEPALIVE,
    });
    client.on('error', () => undefined);
    this.client = client;
    outcome = await outcomeOf(client.connect().then(() => mayWrite(client)));
    if (outcome !== 'answered') this.drop();
    return outcome === 'answered';
  }

  private drop(): void {
    this.client?.connection.stream.destroy();
    this.client = undefined;
  }
}

/** @throws Error where it only reads: another has taken over, and the name will lead to that one */
async function mayWrite(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ transaction_read_only: string }>('SHOW transaction_read_only');
  if (rows[0]?.transaction_read_only !== 'off') throw new Error('The database takes no writes');
}

type Outcome = 'answered' | 'refused' | 'silent';

/** In steps, as the time for which this process itself stood still was no time for an answer: it counts as one of them. */
async function outcomeOf(asked: Promise<unknown>): Promise<Outcome> {
  const answer = asked.then(
    (): Outcome => 'answered',
    (): Outcome => 'refused',
  );
  for (let waited = 0; waited < SILENCE_MS; waited += STEP_MS) {
    const over = new AbortController();
    const step = sleep(STEP_MS, undefined, { signal: over.signal }).catch(() => undefined);
    const outcome = await Promise.race([answer, step]);
    over.abort();
    if (outcome !== undefined) return outcome;
  }
  // It may be there, and had only not been read yet.
  return Promise.race([answer, afterPolling<Outcome>('silent')]);
}
