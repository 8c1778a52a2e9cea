import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { cloneDatabase, dropDatabase } from '../app.js';
import { cleanEnvironment } from '../environment.js';

jest.setTimeout(180_000);

const FULL = process.env.OUTAGES === 'full';
const BENCH = resolve(__dirname, '../../bench/overload.mjs');

describe('four times the load that a server can take', () => {
  it('costs those who are refused their answer, and nobody else theirs', async () => {
    const databaseUrl = await cloneDatabase();
    const dataDir = await mkdtemp(join(tmpdir(), 'stoa-overload-'));
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [BENCH], {
        cwd: resolve(__dirname, '../..'),
        env: {
          ...cleanEnvironment(),
          DATABASE_URL: databaseUrl,
          DATA_DIR: dataDir,
          SECONDS: FULL ? '20' : '5',
        },
      });
      const { ratioByCpu, refused, refusedWithoutRetryAfter, other, p99, live, ready, after } = JSON.parse(stdout);
      if (FULL) process.stdout.write(stdout);
      expect(refused).toBeGreaterThan(0);
      expect([refusedWithoutRetryAfter, other]).toEqual([0, 0]);
      // Other programs have their part of the machine, and not always the same: without shedding it is 20 s and more.
      expect(p99).toBeLessThan(8000);
      expect(ratioByCpu).toBeGreaterThan(FULL ? 0.6 : 0.3);
      for (const { failed, slowest } of [live, ready]) {
        expect(failed).toBe(0);
        expect(slowest).toBeLessThan(5000);
      }
      // It is over when it is over.
      expect(after).toBeGreaterThan(0.3);
    } finally {
      await dropDatabase(databaseUrl);
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
