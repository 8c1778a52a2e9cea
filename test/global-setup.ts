import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '..');

// Jest resolves no `.js` to `.ts` in this file, so what is imported is named by its path.
const loadSql = () => import(join(root, 'test/sql.ts')) as Promise<typeof import('./sql.js')>;
const loadEnvironment = () => import(join(root, 'test/environment.ts')) as Promise<typeof import('./environment.js')>;
const loadLauncher = () =>
  import(join(root, 'src/database/embedded-postgres.ts')) as Promise<
    typeof import('../src/database/embedded-postgres.js')
  >;

declare global {
  /** What the teardown has to do. */
  var cleanUpDatabases: (() => Promise<void>) | undefined;
}

/** Builds the server where it is missing, finds a PostgreSQL and makes the database that every test starts from. */
export default async function setUp(): Promise<void> {
  if (!existsSync(join(root, 'dist/src/main.js'))) run('npm', ['run', 'build'], process.env);

  const { query, withDatabase } = await loadSql();
  const { url: server, stop } = process.env.TEST_DATABASE_URL
    ? { url: process.env.TEST_DATABASE_URL, stop: () => Promise.resolve() }
    : await startPostgres();
  const template = `stoa_template_${process.pid}`;
  globalThis.cleanUpDatabases = async () => {
    // Also what a failed test left behind.
    const clones = template.replace('template', 'test').replaceAll('_', '\\_');
    const sql = 'SELECT datname FROM pg_database WHERE datname LIKE $1 OR datname = $2';
    for (const { datname } of await query(server, sql, [`${clones}\\_%`, template])) {
      await query(server, `DROP DATABASE IF EXISTS ${String(datname)} WITH (FORCE)`);
    }
    await stop();
  };
  try {
    await query(server, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await query(server, `CREATE DATABASE ${template}`);
    const env = { ...(await loadEnvironment()).cleanEnvironment(), NODE_ENV: 'test' };
    run(process.execPath, [join(root, 'dist/src/migrate.js')], {
      ...env,
      DATABASE_URL: withDatabase(server, template),
    });
  } catch (error) {
    await globalThis.cleanUpDatabases(); // Jest runs no teardown after a setup that failed
    throw error;
  }
  process.env.TEST_SERVER_URL = server;
  process.env.TEST_TEMPLATE = template;
}

/** The PostgreSQL that the project brings along. */
async function startPostgres(): Promise<{ url: string; stop: () => Promise<void> }> {
  const { startEmbeddedPostgres } = await loadLauncher();
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-tests-'));
  const { url, stop } = await startEmbeddedPostgres({ dataDir });
  // What is only for the time when the machine itself goes down, and no test's business.
  const { query } = await loadSql();
  await query(url, 'ALTER SYSTEM SET fsync = off');
  await query(url, 'SELECT pg_reload_conf()');
  return { url, stop: () => stop().then(() => rm(dataDir, { recursive: true, force: true })) };
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
}
