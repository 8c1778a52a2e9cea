// Every migration up, down to nothing and up again; then the schema must be what the entities say.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../dist/src/config.js';
import { createDataSource } from '../dist/src/database/data-source.js';
import { startEmbeddedPostgres } from '../dist/src/database/embedded-postgres.js';
import { migrate } from '../dist/src/database/migrate.js';

const dataDir = mkdtempSync(join(tmpdir(), 'stoa-migrations-'));
const postgres = await startEmbeddedPostgres({ dataDir });
const dataSource = createDataSource(readConfig({ DATABASE_URL: postgres.url }));
try {
  await dataSource.initialize();
  const applied = await dataSource.runMigrations();
  for (let left = applied.length; left > 0; left--) await dataSource.undoLastMigration({ transaction: 'none' });
  const left = await dataSource.query(
    `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'migrations'`,
  );
  if (left.length > 0) throw new Error(`Reverting left ${left.map((row) => row.table_name).join(', ')} behind`);
  // As a server does it, which also makes the schema of the jobs: that one is not ours to compare.
  await migrate(dataSource);

  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  if (upQueries.length > 0) {
    throw new Error(`Entities and schema differ:\n${upQueries.map(({ query }) => query).join('\n')}`);
  }
} finally {
  await dataSource.destroy();
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
