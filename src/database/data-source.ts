import { join } from 'node:path';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { Config } from '../config.js';
import { KEEPALIVE } from './keepalive.js';
import { SnakeCase } from './naming.js';
import { Pool } from './pool.js';

/** How long one statement may take before PostgreSQL ends it. */
export const STATEMENT_TIMEOUT_MS = 10_000;
/** How long a statement may wait for a lock. A queue on one hot row is short work for each; more than this is stuck. */
const LOCK_TIMEOUT_MS = 8_000;

/**
 * A page of a solid-state disk, or of memory, costs nearly the same wherever it is, and compiling a plan costs more than
 * any statement of ours takes. Without this PostgreSQL read whole tables for what it would find by a few keys.
 */
const PLANNER = '-c random_page_cost=1.1 -c jit=off';

/**
 * Amounts are `bigint` columns bounded to ±(2^53 − 1), so they are exact as JavaScript numbers. A larger one can not
 * come from our tables; it is refused rather than rounded.
 */
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} is past 2^53`);
  return number;
});

/** Everything TypeORM has to know, for the server and for its command line alike. Not connected yet. */
export function createDataSource(config: Config): DataSource {
  const source = join(import.meta.dirname, '..');
  return new DataSource({
    type: 'postgres',
    driver: { ...pg, Pool },
    url: config.databaseUrl ?? '',
    entities: [join(source, 'modules/*/*.entity.{js,ts}')],
    migrations: [join(source, '../migrations/*.{js,ts}')],
    migrationsTableName: 'migrations',
    // Only then can a migration say `transaction = false`, which an index made CONCURRENTLY needs.
    migrationsTransactionMode: 'each',
    namingStrategy: new SnakeCase(),
    installExtensions: false,
    applicationName: 'stoa',
    poolSize: config.databasePool.max,
    connectTimeoutMS: config.databasePool.acquireMs,
    extra: {
      min: config.databasePool.min,
      idleTimeoutMillis: config.databasePool.idleMs,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
      keepAlive: true,
      // What is asked is sent without waiting for the answer to what was asked before.
      pipeline: true,
      options: `${PLANNER} ${KEEPALIVE}`,
    },
  });
}

/** The pool below a data source that is connected. */
export const poolOf = (dataSource: DataSource): Pool => (dataSource.driver as unknown as { master: Pool }).master;
