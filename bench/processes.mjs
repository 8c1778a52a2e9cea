// The servers that are measured: started, paused while others are measured, and what they cost.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis as Connection } from 'ioredis';
import pg from 'pg';

export const JWT_SECRET = 'only-for-this-benchmark-and-nothing-else';
/** Far away, but there: limits are counted, and never reached. */
const NEVER = '1000000000';

const ENTRIES = {
  // With the flag that the image has.
  stoa: ['--max-semi-space-size=16', 'dist/src/main.js'],
  orm: ['--import', '@swc-node/register/esm-register', 'bench/reference/orm.mjs'],
};

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts Stoa as in production, with everything on, or a reference; there once it is ready. */
export async function startServer(name, { databaseUrl, redisUrl, nodeOptions = [], env: given = {} }) {
  const port = await freePort();
  const entry = ENTRIES[name] ?? ['bench/reference/server.mjs', name];
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    PORT: String(port),
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    JWT_SECRET,
    // The tokens of a run are made at its beginning.
    ACCESS_TOKEN_TTL: '86400',
    LOG_LEVEL: 'warn',
    RATE_LIMIT_ANONYMOUS: NEVER,
    RATE_LIMIT_USER: NEVER,
    // Requests come from addresses of their own where anonymous ones are limited.
    TRUST_PROXY: 'loopback',
    // No order of the first minutes is given up while the last ones are measured.
    ORDER_TTL: '604800',
    SHUTDOWN_DELAY: '0',
    ...given,
  };
  const began = performance.now();
  const child = spawn(process.execPath, [...nodeOptions, ...entry], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  const server = new Server(name, port, child, ended);
  await server.ready();
  server.startMs = performance.now() - began;
  return server;
}

class Server {
  constructor(name, port, child, ended) {
    Object.assign(this, { name, port, child, ended });
  }

  /** The mapper's reference knows only what it is compared by. */
  can(work) {
    return this.name !== 'orm' || ['orders-get', 'orders-post'].includes(work);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async ready() {
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`${this.name} did not start`);
      const answer = await fetch(`${this.url}/health/ready`).catch(() => undefined);
      if (answer?.ok) return;
      await sleep(2);
    }
  }

  /** Costs nothing until it is resumed: what it does by itself must not be charged to others. */
  pause() {
    this.child.kill('SIGSTOP');
  }

  async resume() {
    this.child.kill('SIGCONT');
    // It may think that the database was away.
    await sleep(100);
    await this.ready();
  }

  async stop() {
    this.child.kill('SIGCONT');
    this.child.kill('SIGTERM');
    await this.ended;
  }

  /** CPU time of all of its threads, in µs. */
  cpu() {
    return cpuOf(this.child.pid);
  }

  /** In MiB. */
  memory() {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))[1]) / 1024;
  }
}

/** Linux counts it in hundredths of a second: fields 14 and 15, behind a name that may have blanks in it. */
function cpuOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    return 0;
  }
}

/** What PostgreSQL spends on one database: its backends, which Linux shows under the database's name. */
export class Postgres {
  constructor(databaseUrl) {
    this.database = new URL(databaseUrl).pathname.slice(1);
    this.client = new pg.Client({ connectionString: databaseUrl, application_name: 'bench' });
  }

  async start() {
    await this.client.connect();
  }

  stop() {
    return this.client.end();
  }

  query(sql) {
    return this.client.query(sql);
  }

  /** CPU time in µs by backend; null where PostgreSQL runs on another machine. */
  cpu() {
    const backends = {};
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        if (title.startsWith('postgres:') && title.includes(` ${this.database} `)) backends[pid] = cpuOf(pid);
      } catch {
        // It has just ended.
      }
    }
    return backends;
  }
}

/** What was spent between two looks at the backends. */
export function spent(before, after) {
  return Object.entries(after).reduce((sum, [pid, cpu]) => sum + cpu - (before[pid] ?? 0), 0);
}

/** Where Stoa counts requests, and what that costs. */
export class Redis {
  constructor(url) {
    this.client = new Connection(url, { lazyConnect: true });
  }

  async start() {
    await this.client.connect();
    this.pid = /process_id:(\d+)/.exec(await this.client.info('server'))?.[1];
  }

  stop() {
    this.client.disconnect();
  }

  cpu() {
    return cpuOf(this.pid);
  }
}
