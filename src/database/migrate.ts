import { Logger as GraphileLogger, runMigrations } from 'graphile-worker';
import { migrations as jobMigrations } from 'graphile-worker/dist/generated/sql.js';
import pg from 'pg';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { type Config, ConfigError } from '../config.js';

/** Any number will do, as long as every replica takes the same one. */
const LOCK = 7_350_421;

/** Brings the schema up to date, or refuses to go on where that is left to somebody else. */
export async function prepareSchema(config: Config, dataSource: DataSource, logger: Logger): Promise<void> {
  if (config.migrate) {
    const applied = await migrate(dataSource);
    if (applied.length > 0) logger.info({ applied }, 'Migrated');
  } else if ((await dataSource.showMigrations()) || (await lacksJobs(dataSource))) {
    throw new ConfigError(['MIGRATE is off and the database lacks migrations: run `node dist/src/migrate.js` first']);
  }
}

/**
 * Brings the schema up to date. Replicas that start at once wait for the first: it migrates, the others find nothing
 * left to do.
 *
 * @returns the names of the migrations that were applied
 */
export async function migrate(dataSource: DataSource): Promise<string[]> {
  // A connection of its own: the pool may have one only, which the migrations need. Closing it ends the lock. Whoever
  // waits here waits for another's migrations, for which no timeout is set.
  const lock = new pg.Client({ connectionString: urlOf(dataSource), application_name: 'stoa migrations' });
  lock.on('error', () => undefined);
  await lock.connect();
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [LOCK]);
    const applied = await dataSource.runMigrations();
    await installJobs(dataSource);
    return applied.map(({ name }) => name);
  } finally {
    await lock.end();
  }
}

/** graphile-worker keeps its tables in a schema of its own, which it makes and changes by itself. */
const JOBS_SCHEMA = 'graphile_worker';

async function installJobs(dataSource: DataSource): Promise<void> {
  await runMigrations({
    connectionString: urlOf(dataSource),
    maxPoolSize: 1,
    schema: JOBS_SCHEMA,
    logger: new GraphileLogger(() => () => undefined),
  });
}

async function lacksJobs(dataSource: DataSource): Promise<boolean> {
  const newest = Math.max(...Object.keys(jobMigrations).map((file) => parseInt(file, 10)));
  const [there] = await dataSource.query<{ table: string | null }[]>('SELECT to_regclass($1) AS table', [
    `${JOBS_SCHEMA}.migrations`,
  ]);
  if (there?.table == null) return true;
  const [applied] = await dataSource.query<{ id: number }[]>(`SELECT max(id) AS id FROM ${JOBS_SCHEMA}.migrations`);
  return (applied?.id ?? 0) < newest;
}

function urlOf({ options }: DataSource): string {
  return 'url' in options && typeof options.url === 'string' ? options.url : '';
}
