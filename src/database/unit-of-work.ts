import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { ClientBase, QueryConfig } from 'pg';
import { DataSource, type EntityManager, type QueryRunner, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { UnavailableError } from '../errors.js';
import { poolOf } from './data-source.js';
import type { Line } from './pool.js';
import { isTransient } from './postgres-errors.js';

const ATTEMPTS = 5;
const FIRST_BACKOFF_MS = 10;

/** One statement; its rows as they come. */
export type Query = <R>(statement: QueryConfig) => Promise<R[]>;

/** What a transaction begins with, before the statement that it was begun for. */
type First = (query: Query) => Promise<unknown>;

/** What a unit of work went by is no longer so. It starts again, and if that does not help its caller has to. */
export class Overtaken extends UnavailableError {
  constructor() {
    super('Others are busy with the same, try again');
  }
}

/**
 * A transaction that begins with its first statement, so that none is open while a password is hashed before it. What it
 * asks is sent at once, whatever is still unanswered; PostgreSQL answers in the order in which it was asked.
 */
class Work {
  private begun: Promise<QueryRunner> | undefined;
  /** What has been asked, and may not have been answered. */
  private sent: Promise<unknown>[] = [];
  readonly afterCommit: (() => void)[] = [];

  constructor(
    private readonly dataSource: DataSource,
    private readonly first: First | undefined,
  ) {}

  async manager(): Promise<EntityManager> {
    this.begun ??= this.begin();
    const { manager } = await this.begun;
    await this.settle();
    return manager;
  }

  async query<R>(statement: QueryConfig): Promise<R[]> {
    const answer = (await this.client()).query(statement);
    this.sent.push(answer);
    await this.settle();
    return (await answer).rows as R[];
  }

  async send(statement: QueryConfig, translate: (error: unknown) => unknown): Promise<void> {
    const answer = (await this.client()).query(statement).catch((error: unknown) => {
      throw translate(error);
    });
    // Whoever waits for it hears of it later.
    answer.catch(() => undefined);
    this.sent.push(answer);
  }

  /** Waits for all answers. What failed first is thrown: whatever was sent behind it only says that the transaction is lost. */
  async settle(): Promise<void> {
    const { sent } = this;
    this.sent = [];
    throwFirst(await Promise.allSettled(sent));
  }

  async commit(): Promise<void> {
    const runner = await this.begun;
    // Of a transaction in which a statement has failed the commit makes a rollback.
    throwFirst(await Promise.allSettled([this.settle(), runner?.commitTransaction()]));
  }

  async rollback(): Promise<void> {
    // A transaction that could not begin, or whose connection broke, is over without our help.
    await this.begun?.then((runner) => runner.rollbackTransaction()).catch(() => undefined);
  }

  async release(): Promise<void> {
    await this.begun?.then((runner) => runner.release()).catch(() => undefined);
  }

  private async client(): Promise<ClientBase> {
    this.begun ??= this.begin();
    const runner = await this.begun;
    // TypeORM lets go of a connection that broke, and would go on with one outside of the transaction.
    if (runner.isReleased) throw away();
    return (await runner.connect()) as ClientBase;
  }

  private async begin(): Promise<QueryRunner> {
    const runner = this.dataSource.createQueryRunner();
    try {
      const client = (await runner.connect()) as ClientBase;
      const begun = client.query('START TRANSACTION');
      // TypeORM, which would wait for it, only has to know of it.
      Object.assign(runner, { isTransactionActive: true });
      const first = this.first?.(async <R>(statement: QueryConfig) => (await client.query(statement)).rows as R[]);
      await Promise.all([begun, first]);
      return runner;
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      await runner.release();
      throw error;
    }
  }
}

/** The first in their order, where `Promise.all` throws whichever is noticed first. */
function throwFirst(outcomes: readonly PromiseSettledResult<unknown>[]): void {
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** All of it commits, or none of it does. */
@Injectable()
export class UnitOfWork {
  private readonly current = new AsyncLocalStorage<Work>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Runs `work` in one transaction, which every repository joins by itself; inside another run it joins that one.
   * `work` starts again from the top after a serialization failure, a deadlock or `Overtaken`, so it must touch nothing but the
   * database. No network and no hashing in it.
   *
   * @param first runs as the first thing in the transaction, whichever statement that begins with: where it throws, no
   *   statement of `work` is run. It travels with the statement that begins the transaction, and must not change anything
   */
  async run<T>(work: () => Promise<T>, first?: First): Promise<T> {
    if (this.current.getStore() !== undefined) return work();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.attempt(work, first);
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof Overtaken || isTransient(error))) throw error;
        const backoff = FIRST_BACKOFF_MS * 2 ** (attempt - 1);
        await sleep(backoff * (0.5 + Math.random()));
      }
    }
  }

  /** Runs `work` outside of the running unit, whose transaction it does not begin: for what is asked before a password is hashed. */
  outside<T>(work: () => Promise<T>): Promise<T> {
    return this.current.exit(work);
  }

  /** Whether the caller is inside of one. */
  get isRunning(): boolean {
    return this.current.getStore() !== undefined;
  }

  /**
   * Lets something in this process follow once the running unit has committed, and never if it does not; at once outside
   * of one. For what is in memory only: work that has to happen for certain is a job.
   */
  afterCommit(effect: () => void): void {
    const unit = this.current.getStore();
    if (unit === undefined) effect();
    else unit.afterCommit.push(effect);
  }

  /** What a repository speaks to: the transaction of the running unit, or the pool outside of one. */
  async manager(): Promise<EntityManager> {
    return this.current.getStore()?.manager() ?? this.dataSource.manager;
  }

  /**
   * One statement on the same connection, past the ORM, which would cost more than the statement does. With a `name` it
   * is prepared once on each connection.
   */
  async query<R>(statement: QueryConfig): Promise<R[]> {
    const unit = this.current.getStore();
    if (unit !== undefined) return unit.query(statement);
    return (await poolOf(this.dataSource).query(statement)).rows as R[];
  }

  /**
   * The same for a statement whose rows nobody needs. Inside of a unit of work it is only sent, and what comes next goes
   * along with it: five statements take one round trip. Where it fails, what is asked next or else the commit throws what
   * `translate` makes of that.
   */
  async send(statement: QueryConfig, translate: (error: unknown) => unknown): Promise<void> {
    const unit = this.current.getStore();
    if (unit !== undefined) return unit.send(statement, translate);
    await poolOf(this.dataSource)
      .query(statement)
      .catch((error: unknown) => {
        throw translate(error);
      });
  }

  /** Resolves once all that the running unit has sent is done. @throws what failed of it */
  async settled(): Promise<void> {
    await this.current.getStore()?.settle();
  }

  /** Lets the pool know of those who wait before it: they count where more comes than can be answered. */
  lineUp(line: Line): void {
    poolOf(this.dataSource).lines.add(line);
  }

  private async attempt<T>(work: () => Promise<T>, first: First | undefined): Promise<T> {
    const unit = new Work(this.dataSource, first);
    try {
      const result = await this.current.run(unit, work);
      await unit.commit();
      for (const effect of unit.afterCommit) effect();
      return result;
    } catch (error) {
      await unit.rollback();
      // We have not released it yet: TypeORM does where the connection breaks between two statements.
      throw error instanceof QueryRunnerAlreadyReleasedError ? away() : error;
    } finally {
      await unit.release();
    }
  }
}

const away = (): UnavailableError => new UnavailableError('The database is away, try again');
