import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { cloneDatabase, dropDatabase } from '../app.js';
import { cleanEnvironment } from '../environment.js';
import { Gate } from '../gate.js';

jest.setTimeout(180_000);

const FULL = process.env.OUTAGES === 'full';
const BENCH = resolve(__dirname, '../../bench/overload.mjs');

interface Report {
  ratio: number;
  ratioByCpu: number;
  after: number;
  rounds: Record<'refused' | 'refusedWithoutRetryAfter' | 'other' | 'p99' | 'failedProbes' | 'slowestProbe', number>[];
}

/** What a server of its own makes of it; its database may be slow, and then that is what there is too little of. */
async function measure({
  latency,
  connections,
  eager,
}: Record<'latency' | 'connections' | 'eager', number>): Promise<Report> {
  const databaseUrl = await cloneDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-overload-'));
  const gate = await Gate.to(databaseUrl);
  gate.latency = latency;
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [BENCH], {
      cwd: resolve(__dirname, '../..'),
      env: {
        ...cleanEnvironment(),
        DATABASE_URL: gate.url,
        DATABASE_POOL_MAX: String(connections),
        DATA_DIR: dataDir,
        EAGER: String(eager),
        ROUNDS: FULL ? '5' : '1',
        SECONDS: FULL ? '5' : '3',
      },
    });
    if (FULL) process.stdout.write(stdout);
    return JSON.parse(stdout) as Report;
  } finally {
    await gate.close();
    await dropDatabase(databaseUrl);
    await rm(dataDir, { recursive: true, force: true });
  }
}

describe('more than a server can take', () => {
  const database = { latency: 5, connections: 3, most: 'ratio' } as const;
  const processor = { latency: 0, connections: 10, most: 'ratioByCpu' } as const;
  it.each([
    { what: 'four times as much for its connections', ...database, eager: 0, kept: FULL ? 0.7 : 0.4 },
    { what: 'four times as much for its processor', ...processor, eager: 0, kept: FULL ? 0.5 : 0.3 },
    { what: 'clients who ask again at once', ...processor, eager: 2000, kept: FULL ? 0.6 : 0.4 },
  ])('$what: is refused with 503, and what it can take is answered', async (given) => {
    const { rounds, after, ...ratios } = await measure(given);
    for (const { refused, refusedWithoutRetryAfter, other, p99, failedProbes, slowestProbe } of rounds) {
      expect(refused).toBeGreaterThan(0);
      expect([refusedWithoutRetryAfter, other, failedProbes]).toEqual([0, 0, 0]);
      // Other programs have their part of the machine, and not always the same: without shedding it is 20 s and more.
      expect(p99).toBeLessThan(8000);
      expect(slowestProbe).toBeLessThan(5000);
    }
    expect(ratios[given.most]).toBeGreaterThan(given.kept);
    // It is over when it is over.
    expect(after).toBeGreaterThan(0.3);
  });
});
