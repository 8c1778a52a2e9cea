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

/** A transaction that begins with its first statement, so that none is open while a password is hashed before it. */
class Work {
  private begun: Promise<QueryRunner> | undefined;
  readonly afterCommit: (() => void)[] = [];

  constructor(
    private readonly dataSource: DataSource,
    private readonly first: First | undefined,
  ) {}

  async manager(): Promise<EntityManager> {
    this.begun ??= this.begin();
    return (await this.begun).manager;
  }

  async client(): Promise<ClientBase> {
    this.begun ??= this.begin();
    const runner = await this.begun;
    // TypeORM lets go of a connection that broke, and would go on with one outside of the transaction.
    if (runner.isReleased) throw away();
    return (await runner.connect()) as ClientBase;
  }

  async commit(): Promise<void> {
    await (await this.begun)?.commitTransaction();
  }

  async rollback(): Promise<void> {
    // A transaction that could not begin, or whose connection broke, is over without our help.
    await this.begun?.then((runner) => runner.rollbackTransaction()).catch(() => undefined);
  }

  async release(): Promise<void> {
    await this.begun?.then((runner) => runner.release()).catch(() => undefined);
  }

  private async begin(): Promise<QueryRunner> {
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      const client = (await runner.connect()) as ClientBase;
      await this.first?.(async <R>(statement: QueryConfig) => (await client.query(statement)).rows as R[]);
      return runner;
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      await runner.release();
      throw error;
    }
  }
}

/** All of it commits, or none of it does. */
@Injectable()
export class UnitOfWork {
  private readonly current = new AsyncLocalStorage<Work>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Runs `work` in one transaction, which every repository joins by itself; inside another run it joins that one.
   * `work` starts again from the top after a serialization failure or a deadlock, so it must touch nothing but the
   * database. No network, no hashing and no `Promise.all` over queries in it.
   *
   * @param first runs as the first thing in the transaction, whichever statement that begins with: where it throws, no
   *   statement of `work` is run
   */
  async run<T>(work: () => Promise<T>, first?: First): Promise<T> {
    if (this.current.getStore() !== undefined) return work();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.attempt(work, first);
      } catch (error) {
        if (attempt === ATTEMPTS || !isTransient(error)) throw error;
        const backoff = FIRST_BACKOFF_MS * 2 ** (attempt - 1);
        await sleep(backoff * (0.5 + Math.random()));
      }
    }
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
    const client = (await this.current.getStore()?.client()) ?? poolOf(this.dataSource);
    return (await client.query(statement)).rows as R[];
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
