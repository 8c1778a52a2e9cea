// What is measured otherwise than as requests per second against a reference.
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureDepth } from './depth.mjs';
import { load } from './load.mjs';

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const round = (value, digits = 4) => Number(value.toPrecision(digits));

/** Each gets what the run has made, and gives numbers to keep, with a `line` that says them. */
export const checks = {
  /** Logins against what the hash alone allows, and what they do to everybody else. */
  async login({ start, works, rounds, seconds }) {
    const stoa = await start('stoa');
    const hashing = fork('bench/reference/hash.mjs');
    await once(hashing, 'message');
    const login = works.login.next;
    const read = works['orders-get'].next;
    const { port } = stoa;
    try {
      await load({ port, requests: 200, next: login });
      await load({ port, requests: 10_000, seconds: 10, next: read });
      const { rps: highest } = await load({ port, seconds, next: read });
      const rate = highest / 10;
      const ratios = [];
      const logins = [];
      const alone = [];
      const beside = [];
      for (let count = 0; count < rounds; count++) {
        hashing.send({ seconds });
        const [hashes] = await once(hashing, 'message');
        const { rps, statuses } = await load({ port, seconds, next: login });
        assertOnly(statuses, 200);
        logins.push(rps);
        ratios.push(rps / hashes.rps);
        alone.push((await load({ port, seconds, rate, next: read })).p99);
        const [during] = await Promise.all([
          load({ port, seconds, rate, next: read }),
          load({ port, seconds: seconds + 0.5, next: login }),
        ]);
        assertOnly(during.statuses, 200);
        beside.push(during.p99);
      }
      const p99Ratio = median(beside.map((p99, index) => p99 / alone[index]));
      const result = {
        rps: round(median(logins)),
        ofTheHash: round(median(ratios), 3),
        rate: round(rate),
        p99Alone: round(median(alone)),
        p99Beside: round(median(beside)),
        p99Ratio: round(p99Ratio, 3),
      };
      const line = `${result.rps} logins/s, ${result.ofTheHash} of what the hash allows; GET p99 at ${result.rate}/s ${result.p99Alone} ms, while logins saturate ${result.p99Beside} ms: × ${result.p99Ratio}`;
      return { ...result, line };
    } finally {
      hashing.kill();
      await stoa.stop();
    }
  },

  /** The page after row 1,000,000 of the orders against the first. */
  async depth({ databaseUrl }) {
    const { first, deep, ratio, plans, samePlan } = await measureDepth(databaseUrl);
    const line = `first page ${first.toFixed(2)} ms, after 1,000,000 rows ${deep.toFixed(2)} ms: × ${ratio.toFixed(2)}, ${samePlan ? `both by ${plans[0]}` : `by ${plans.join(' and by ')}`}`;
    return { first: round(first, 3), deep: round(deep, 3), ratio: round(ratio, 3), samePlan, line };
  },

  /** Memory at intervals of a tenth, over requests of every kind. */
  async memory({ start, works, requests }) {
    const stoa = await start('stoa');
    const names = [
      'orders-get',
      'products-get',
      'orders-list',
      'products-search',
      'orders-post',
      'transfers',
      'refresh',
    ];
    const memory = [];
    try {
      for (let part = 0; part < 10; part++) {
        let turn = 0;
        const { statuses } = await load({
          port: stoa.port,
          requests: requests / 10,
          next: (connection) => works[names[turn++ % names.length]].next(connection),
        });
        assertOnly(statuses, 200, 201);
        memory.push(Math.round(stoa.memory()));
      }
    } finally {
      await stoa.stop();
    }
    const last = memory.at(-1);
    return { requests, memory, last, line: `${last} MiB after ${requests} requests; on the way ${memory.join(', ')}` };
  },

  /** From the start of the process to the first `ready`, on a database that is migrated. */
  async start({ start, rounds }) {
    const took = { stoa: [], tuned: [] };
    for (let count = 0; count <= rounds; count++) {
      for (const name of Object.keys(took)) {
        const server = await start(name);
        await server.stop();
        // The first reads the files from the disk.
        if (count > 0) took[name].push(server.startMs);
      }
    }
    const stoa = Math.round(median(took.stoa));
    const tuned = Math.round(median(took.tuned));
    const ratio = round(median(took.stoa.map((ms, index) => ms / took.tuned[index])), 3);
    return { stoa, tuned, ratio, line: `${stoa} ms, the reference ${tuned} ms: × ${ratio}` };
  },

  /** What `npm ci` puts on a machine that runs Stoa on a database of its own. */
  async install() {
    const folder = mkdtempSync(join(tmpdir(), 'stoa-install-'));
    try {
      for (const file of ['package.json', 'package-lock.json', '.npmrc']) cpSync(file, join(folder, file));
      const { status } = spawnSync('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund'], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      if (status !== 0) throw new Error('npm ci failed');
      const lock = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8'));
      const packages = Object.keys(lock.packages).length;
      const { stdout } = spawnSync('du', ['-sm', '--apparent-size', 'node_modules'], { cwd: folder, encoding: 'utf8' });
      const size = Number.parseInt(stdout, 10);
      return { size, packages, line: `${size} MiB, ${packages} packages` };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** @throws Error where any answer is of another status */
export function assertOnly(statuses, ...expected) {
  const others = Object.entries(statuses).filter(([status]) => !expected.includes(Number(status)));
  if (others.length > 0) throw new Error(`Answers of unexpected status: ${JSON.stringify(Object.fromEntries(others))}`);
}
