import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ADMIN, type App, type Client, dataOf, dropDatabase, emptyDatabase, startApp } from './app.js';
import { Server } from './server.js';
import { until } from './until.js';

jest.setTimeout(120_000);

describe('the start', () => {
  it('is refused with every fault of the configuration, one a line, and no secret', async () => {
    const server = Server.spawn({
      NODE_ENV: 'production',
      DATABASE_URL: 'mysql://stoa:hunter2@db/stoa',
      JWT_SECRET: 'hunter3',
      PORT: '99999',
      LOG_LEVEL: 'loud',
      CORS_ORIGINS: '*',
    });
    expect(await server.ended()).toBe(1);
    const lines = (server.stdout + server.stderr).trim().split('\n');
    for (const name of ['DATABASE_URL', 'JWT_SECRET', 'PORT', 'LOG_LEVEL', 'CORS_ORIGINS']) {
      expect(lines.filter((line) => new RegExp(`\\b${name}\\b`).test(line))).toHaveLength(1);
    }
    expect(lines.join('\n')).not.toMatch(/hunter|^\s+at |99999/m);
  });

  it('waits for a database that is away, and says so', async () => {
    const server = Server.spawn({
      NODE_ENV: 'test',
      PORT: '0',
      DATABASE_URL: 'postgres://stoa:hunter2@127.0.0.1:1/stoa',
      JWT_SECRET: 'x'.repeat(40),
    });
    const hasSaidSo = () => (server.stdout.match(/The database is away/g) ?? []).length > 2;
    await until(hasSaidSo);
    await server.kill();
    const waits = [...server.stdout.matchAll(/The database is away, next try in (\d+) ms/g)].map(([, ms]) =>
      Number(ms),
    );
    // Longer each time, within what chance adds.
    expect(waits.length).toBeGreaterThan(2);
    for (const [attempt, ms] of waits.entries()) {
      expect(ms).toBeGreaterThanOrEqual(500 * 2 ** attempt);
      expect(ms).toBeLessThanOrEqual(1000 * 2 ** attempt);
    }
    expect(server.stdout + server.stderr).not.toMatch(/hunter2/);
  });

  it('is refused where the port is taken', async () => {
    const app = await startApp();
    try {
      const env = {
        NODE_ENV: 'test',
        DATABASE_URL: app.databaseUrl,
        DATA_DIR: app.dataDir,
        PORT: new URL(app.url).port,
      };
      const server = Server.spawn({ ...env, JWT_SECRET: 'x'.repeat(40) });
      expect(await server.ended()).toBe(1);
      expect(server.stdout + server.stderr).toMatch(/EADDRINUSE|in use/);
    } finally {
      await app.stop();
    }
  });

  it('makes the first admin once', async () => {
    const app = await startApp();
    try {
      expect((await app.login(ADMIN.email, ADMIN.password)).user.role).toBe('admin');
      await app.restart({ ADMIN_EMAIL: 'other@example.com', ADMIN_PASSWORD: 'Other-Horse-1' });
      const answer = await app.anonymous.post('/auth/login', { email: 'other@example.com', password: 'Other-Horse-1' });
      expect(answer.status).toBe(401);
      await app.login(ADMIN.email, ADMIN.password);
    } finally {
      await app.stop();
    }
  });

  it('refuses to serve an empty database that it may not migrate', async () => {
    const DATABASE_URL = await emptyDatabase();
    try {
      await expect(startApp({ DATABASE_URL, MIGRATE: 'off' })).rejects.toThrow(/migrat/i);
      const app = await startApp({ DATABASE_URL });
      expect(await app.stop()).toBe(0);
    } finally {
      await dropDatabase(DATABASE_URL);
    }
  });

  it('is refused by a database that is newer than the release, whether it may migrate or not', async () => {
    const app = await startApp();
    try {
      await app.sql(`INSERT INTO migrations (timestamp, name) VALUES (4000000000000, 'OfTomorrow4000000000000')`);
      for (const MIGRATE of ['on', 'off']) {
        await expect(app.restart({ MIGRATE })).rejects.toThrow(/newer than this release.*OfTomorrow4000000000000/);
      }
    } finally {
      await app.stop();
    }
  });

  it('of two at once migrates once', async () => {
    const DATABASE_URL = await emptyDatabase();
    try {
      const both = await Promise.all([startApp({ DATABASE_URL }), startApp({ DATABASE_URL })]);
      try {
        const logs = both.flatMap((each) => each.logs());
        expect(logs.filter(({ msg }) => msg === 'Migrated')).toHaveLength(1);
        // Neither was in the other's way, which a lock's timeout would have ended, and the next try hidden.
        expect(logs.filter(({ level }) => level === 'warn')).toEqual([]);
        for (const each of both) expect((await each.request('GET', '/health/ready')).status).toBe(200);
      } finally {
        for (const each of both) await each.stop();
      }
    } finally {
      await dropDatabase(DATABASE_URL);
    }
  });
});

describe('a server whose database is put back to before its last migration', () => {
  it('is not ready until it has been migrated again', async () => {
    const app = await startApp();
    try {
      const ready = async () => {
        const { status, body } = await app.request('GET', '/health/ready');
        return [status, body.checks.schema];
      };
      expect(await ready()).toEqual([200, 'migrated']);
      const [last] = await app.sql('DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations) RETURNING *');
      expect(await ready()).toEqual([503, 'incomplete']);
      await app.sql('INSERT INTO migrations SELECT * FROM json_populate_record(NULL::migrations, $1)', [
        JSON.stringify(last),
      ]);
      expect(await ready()).toEqual([200, 'migrated']);
    } finally {
      await app.stop();
    }
  });
});

describe('the end', () => {
  it('by SIGTERM lets running requests finish, and is a success', async () => {
    // What was not accepted yet when it stops listening is refused: these all are.
    const app = await startApp({ SHUTDOWN_DELAY: '1' });
    const user = await app.register();
    const running = Promise.all(Array.from({ length: 5 }, () => app.login(user.user.email)));
    await sleep(20);
    const code = app.stop();
    expect(await running).toHaveLength(5);
    expect(await code).toBe(0);
  });

  it('answers every request that it has accepted, also over kept-alive connections', async () => {
    const app = await startApp({ SHUTDOWN_DELAY: '3' });
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const lost: unknown[] = [];
    let answered = 0;
    let refused = false;
    const worker = async (): Promise<void> => {
      while (!refused) {
        await get(`${app.url}/api/v1/products`, agent).then(
          () => answered++,
          (error: unknown) => {
            refused = true;
            if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') lost.push(error);
          },
        );
      }
    };
    const load = Promise.all(Array.from({ length: 16 }, worker));
    await until(() => answered > 100);
    const code = app.stop();
    await app.logged(({ msg }) => msg === 'Stopping');
    // It serves on until load balancers have had the time to notice.
    const ready = await app.request('GET', '/health/ready');
    expect([ready.status, ready.body.status, ready.headers.get('retry-after')]).toEqual([503, 'unhealthy', '1']);
    await load;
    expect(lost).toEqual([]);
    expect(await code).toBe(0);
  });

  it('comes at once with a second signal', async () => {
    const app = await startApp({ SHUTDOWN_DELAY: '20' });
    const first = app.stop();
    await app.logged(({ msg }) => msg === 'Stopping');
    app.signal('SIGTERM');
    expect(await first).toBe(1);
  });

  it('does not wait for connections that nothing comes over', async () => {
    const app = await startApp();
    await app.anonymous.get('/health'); // fetch keeps its connection
    const start = Date.now();
    expect(await app.stop()).toBe(0);
    expect(Date.now() - start).toBeLessThan(3000);
  });
});

describe('without a database of its own', () => {
  let app: App;
  let paid: string;
  beforeAll(async () => {
    app = await startApp({ DATABASE_URL: '' });
  });
  afterAll(async () => {
    const postmaster = postmasterOf(app);
    expect(await app.stop()).toBe(0);
    expect(isAlive(postmaster)).toBe(false);
  });

  const buy = async (client: Client): Promise<string> => {
    const accountId = await app.funded(client, 1000);
    const { id: productId } = await app.product({ price: 1000 });
    const { id } = dataOf(await client.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
    dataOf(await client.post(`/orders/${id}/payments`, { accountId }), 201);
    return id;
  };
  const statusOf = async (order: string) => dataOf(await (await app.admin()).get(`/orders/${order}`)).status;

  it('it brings one along, in the data folder', async () => {
    expect(existsSync(join(app.dataDir, 'postgres/PG_VERSION'))).toBe(true);
    paid = await buy(await app.register());
    expect(await statusOf(paid)).toBe('paid');
  });

  it('what was paid stays paid when all of it is killed', async () => {
    const postmaster = postmasterOf(app);
    await app.kill();
    process.kill(postmaster, 'SIGKILL');
    while (isAlive(postmaster)) await sleep(10);
    await app.start();
    expect(postmasterOf(app)).not.toBe(postmaster);
    expect(await statusOf(paid)).toBe('paid');
  });

  it('and when the server alone is killed', async () => {
    const postmaster = postmasterOf(app);
    const other = await buy(await app.register());
    await app.kill();
    await app.start();
    expect(postmasterOf(app)).toBe(postmaster);
    expect([await statusOf(paid), await statusOf(other)]).toEqual(['paid', 'paid']);
  });
});

/** Over a connection that is kept for the next. */
const get = (url: string, agent: Agent): Promise<void> =>
  new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      response.resume().on('end', resolve).on('error', reject);
    })
      .on('error', reject)
      .end();
  });

const postmasterOf = (app: App): number =>
  parseInt(readFileSync(join(app.dataDir, 'postgres/postmaster.pid'), 'utf8'), 10);

/** A zombie is not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
