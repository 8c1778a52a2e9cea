// What a worker gets done, and how soon it begins: `npm run build && node bench/jobs.mjs [postgres://…]`.
// The reference is graphile-worker set for nothing but speed, in the same run on the same database.
import 'reflect-metadata';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from 'graphile-worker';
import { pino } from 'pino';
import { readConfig } from '../dist/src/config.js';
import { createDataSource } from '../dist/src/database/data-source.js';
import { startEmbeddedPostgres } from '../dist/src/database/embedded-postgres.js';
import { migrate } from '../dist/src/database/migrate.js';
import { UnitOfWork } from '../dist/src/database/unit-of-work.js';
import { createGraphileLogger } from '../dist/src/modules/jobs/graphile-logger.js';
import { JobsRepository } from '../dist/src/modules/jobs/jobs.repository.js';
import { Registry } from '../dist/src/modules/jobs/registry.js';
import { JobsWorker } from '../dist/src/modules/jobs/worker.js';

const JOBS = 10_000;
const TASK = 'bench.nothing';

const dataDir = mkdtempSync(join(tmpdir(), 'stoa-bench-'));
const postgres = process.argv[2]
  ? { url: process.argv[2], stop: async () => undefined }
  : await startEmbeddedPostgres({ dataDir });
const config = readConfig({ DATABASE_URL: postgres.url });
const logger = pino({ level: 'silent' });
const dataSource = await createDataSource(config).initialize();
const done = new EventEmitter();
try {
  await migrate(dataSource);
  const registry = new Registry();
  const jobs = new JobsRepository(new UnitOfWork(dataSource));
  let left = 0;
  const work = async () => {
    done.emit('begun', performance.now());
    if (--left === 0) done.emit('all');
  };
  registry.addHandler(TASK, work);
  const fill = async () => {
    left = JOBS;
    await dataSource.query(
      `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
         SELECT ($1, '{}', NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec FROM generate_series(1, $2::integer)))`,
      [TASK, JOBS],
    );
  };
  const perSecond = async (start) => {
    await fill();
    const began = performance.now();
    const ended = once(done, 'all');
    const stop = await start();
    await ended;
    const seconds = (performance.now() - began) / 1000;
    await stop();
    return Math.round(JOBS / seconds);
  };

  const reference = await perSecond(async () => {
    const runner = await run({
      connectionString: postgres.url,
      taskList: { [TASK]: work },
      noHandleSignals: true,
      concurrency: 24,
      logger: createGraphileLogger(logger),
      preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    });
    return () => runner.stop();
  });

  const worker = new JobsWorker(registry, jobs, config, logger);
  const ours = await perSecond(async () => {
    worker.start();
    return async () => undefined;
  });

  await sleep(1000);
  const waits = [];
  for (let n = 0; n < 300; n++) {
    left = 1;
    const begun = once(done, 'begun');
    await jobs.add(TASK, {}, { maxAttempts: 1 });
    const committed = performance.now();
    waits.push((await begun)[0] - committed);
  }
  await worker.stop();
  waits.sort((a, b) => a - b);
  const quantile = (part) => waits[Math.floor(waits.length * part)].toFixed(1);

  console.log(`jobs a second     ${ours}, reference ${reference} (${(ours / reference).toFixed(2)})`);
  console.log(`commit to start   median ${quantile(0.5)} ms, 99 % within ${quantile(0.99)} ms`);
} finally {
  await dataSource.destroy();
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
