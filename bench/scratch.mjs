// A migrated database for measurements that go by way of a repository: the empty one that DATABASE_URL names, which may be
// filled, or an embedded one, which is thrown away.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../dist/src/config.js';
import { createDataSource } from '../dist/src/database/data-source.js';
import { startEmbeddedPostgres } from '../dist/src/database/embedded-postgres.js';

/** @param work is given a data source, which is closed after it */
export async function onScratchDatabase(work) {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-bench-'));
  const embedded = process.env.DATABASE_URL ? undefined : await startEmbeddedPostgres({ dataDir });
  const dataSource = createDataSource(readConfig({ DATABASE_URL: embedded?.url ?? process.env.DATABASE_URL }));
  try {
    await dataSource.initialize();
    await dataSource.runMigrations();
    await work(dataSource);
  } finally {
    await dataSource.destroy();
    await embedded?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}
