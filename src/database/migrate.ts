import { setTimeout as sleep } from 'node:timers/promises';
import { Logger as GraphileLogger, runMigrations } from 'graphile-worker';
import { migrations as jobMigrations } from 'graphile-worker/dist/generated/sql.js';
import pg from 'pg';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { type Config, ConfigError } from '../config.js';

/** Any number will do, as long as every replica takes the same one. */
const LOCK = 7_350_421;
const ASK_AGAIN_MS = 100;

/**
 * Brings the schema up to date, or refuses to go on where that is left to somebody else. One that is newer than this
 * release is refused in any case: nobody can tell what it would write there.
 */
export async function prepareSchema(config: Config, dataSource: DataSource, logger: Logger): Promise<void> {
  const unknown = await unknownMigrations(dataSource);
  if (unknown.length > 0) {
    throw new ConfigError([`The database is newer than this release, which does not know ${unknown.join(', ')}`]);
  }
  if (config.migrate) {
    const applied = await migrate(dataSource);
    if (applied.length > 0) logger.info({ applied }, 'Migrated');
  } else if ((await dataSource.showMigrations()) || (await lacksJobs(dataSource))) {
    throw new ConfigError(['MIGRATE is off and the database lacks migrations: run `node dist/src/migrate.js` first']);
  }
}

/** The names of the migrations that this release brings along, oldest first. */
export const knownMigrations = ({ migrations }: DataSource): string[] =>
  migrations
    .map((migration) => migration.name ?? migration.constructor.name)
    // Each ends in the time at which it was written.
    .sort((one, other) => Number(one.slice(-13)) - Number(other.slice(-13)));

async function unknownMigrations(dataSource: DataSource): Promise<string[]> {
  const [there] = await dataSource.query<{ table: string | null }[]>('SELECT to_regclass($1) AS table', ['migrations']);
  if (there?.table == null) return [];
  const unknown = await dataSource.query<{ name: string }[]>(
    'SELECT name FROM migrations WHERE name <> ALL ($1) ORDER BY id',
    [knownMigrations(dataSource)],
  );
  return unknown.map(({ name }) => name);
}

/**
 * Brings the schema up to date. Replicas that start at once wait for the first: it migrates, the others find nothing
 * left to do.
 *
 * @returns the names of the migrations that were applied
 */
export async function migrate(dataSource: DataSource): Promise<string[]> {
  // A connection of its own: the pool may have one only, which the migrations need. Closing it ends the lock.
  const lock = new pg.Client({ connectionString: urlOf(dataSource), application_name: 'stoa migrations' });
  lock.on('error', () => undefined);
  await lock.connect();
  try {
    await take(lock);
    const applied = await dataSource.runMigrations();
    await installJobs(dataSource);
    return applied.map(({ name }) => name);
  } finally {
    await lock.end();
  }
}

/**
 * Waits for as long as another migrates. It asks again and again rather than to wait within a statement, whose snapshot
 * would hold back the other's CREATE INDEX CONCURRENTLY: each would wait for the other.
 */
async function take(lock: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await lock.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [LOCK]);
    if (rows[0]?.taken === true) return;
    await sleep(ASK_AGAIN_MS);
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
