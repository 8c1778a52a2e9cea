import type { DataSource } from 'typeorm';

/** Any number will do, as long as every replica takes the same one. */
const LOCK = 7_350_421;

/**
 * Brings the schema up to date. Replicas that start at once wait for the first: it migrates, the others find nothing
 * left to do.
 *
 * @returns the names of the migrations that were applied
 */
export async function migrate(dataSource: DataSource): Promise<string[]> {
  const lock = dataSource.createQueryRunner();
  try {
    // Whoever waits here waits for another's migrations, which may take longer than a statement should.
    await lock.query('SET statement_timeout = 0; SET lock_timeout = 0');
    await lock.query('SELECT pg_advisory_lock($1)', [LOCK]);
    const applied = await dataSource.runMigrations();
    return applied.map(({ name }) => name);
  } finally {
    // Ends the session's lock even where an explicit unlock could not get through any more.
    await lock.query('SELECT pg_advisory_unlock($1)', [LOCK]).catch(() => undefined);
    await lock.query('RESET statement_timeout; RESET lock_timeout').catch(() => undefined);
    await lock.release();
  }
}
