import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ADMIN,
  type App,
  type Client,
  cloneDatabase,
  dataOf,
  dropDatabase,
  emptyDatabase,
  exchange,
  JWT_SECRET,
  PASSWORD,
  type RequestOptions,
  startApp,
} from './app.js';
import { Gate } from './gate.js';
import { OwnPostgres } from './outages/own-postgres.js';
import { freePort } from './receiver.js';
import { Server } from './server.js';
import { stopwatch } from './stopwatch.js';
import { until } from './until.js';

jest.setTimeout(120_000);

const programOf = (name: string): string => resolve(__dirname, `../dist/src/${name}.js`);
const MAIN = programOf('main');
const PROGRAMS = ['main', 'worker', 'migrate', 'verify-ledger'].map(programOf);

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

  describe('is refused by a database', () => {
    let postgres: OwnPostgres;
    beforeAll(async () => {
      // One that asks for a password.
      postgres = await OwnPostgres.start();
    });
    afterAll(() => postgres?.remove());

    it.each<[string, string[], (url: URL) => void, RegExp]>([
      ['no such database', PROGRAMS, (url) => (url.pathname = '/nothing'), /^database "nothing" does not exist$/],
      ['no such user', [MAIN], (url) => (url.username = 'nobody'), /"nobody"/],
      ['a wrong password', [MAIN], (url) => (url.password = 'hunter2'), /^password authentication failed/],
      ['no user', [MAIN], (url) => (url.username = url.password = ''), /user name|role|password/],
      ['TLS, which it lacks', [MAIN], (url) => (url.search = '?ssl=true'), /SSL/],
    ])('that is asked for %s, with its reason', async (_, programs, change, reason) => {
      const url = new URL(postgres.url);
      const { password } = url;
      change(url);
      const env = { NODE_ENV: 'test', PORT: '0', DATABASE_URL: url.href, JWT_SECRET };
      for (const program of programs) {
        const server = await Server.refused(env, program);
        expect(await server.ended()).toBe(program.endsWith('verify-ledger.js') ? 2 : 1);
        const [, said] = /^DATABASE_URL can not be used: (.*)\n$/.exec(server.stderr) ?? [];
        expect(said).toMatch(reason);
        expect(server.stdout + server.stderr).not.toMatch(`hunter2|${password}`);
      }
    });
  });

  it('is refused where the port is taken, the host is another, or files can not be kept', async () => {
    const app = await startApp();
    try {
      const { port: PORT } = new URL(app.url);
      const refusal = async (env: Record<string, string>) => {
        const all = { NODE_ENV: 'test', DATABASE_URL: app.databaseUrl, DATA_DIR: app.dataDir, JWT_SECRET, ...env };
        const server = await Server.refused({ PORT: '0', ...all });
        return [await server.ended(), server.stderr];
      };
      const line = (start: string) => [1, expect.stringMatching(`^${start}: .+\n$`)];
      const away = 'postgres://stoa:hunter2@127.0.0.1:1/stoa';
      expect(await refusal({ PORT })).toEqual(line('PORT can not be listened on'));
      expect(await refusal({ PORT, DATABASE_URL: away })).toEqual(line('PORT can not be listened on'));
      expect(await refusal({ METRICS_PORT: PORT })).toEqual(line('METRICS_PORT can not be listened on'));
      expect(await refusal({ HOST: 'nowhere.invalid' })).toEqual(line('HOST can not be listened on'));
      expect(await refusal({ HOST: '192.0.2.1', DATABASE_URL: away })).toEqual(line('HOST can not be listened on'));
      expect(await refusal({ DATA_DIR: '/dev/null' })).toEqual(line('DATA_DIR can not be used'));
      expect(await refusal({ DATA_DIR: '/dev/null', JWT_SECRET: '' })).toEqual(line('DATA_DIR can not be used'));
    } finally {
      await app.stop();
    }
  });

  it('answers probes while it waits for a database, and all else with 503', async () => {
    const databaseUrl = await cloneDatabase();
    const gate = await Gate.to(databaseUrl);
    gate.shut();
    const [PORT, METRICS_PORT] = [await freePort(), await freePort()].map(String) as [string, string];
    const server = Server.spawn({ NODE_ENV: 'test', DATABASE_URL: gate.url, JWT_SECRET, PORT, METRICS_PORT });
    const isWaiting = () => server.stdout.includes('The database is away');
    const kept = new Agent({ keepAlive: true });
    try {
      await until(isWaiting);
      for (const port of [PORT, METRICS_PORT]) {
        const ask = (path: string, method = 'GET', options: RequestOptions = {}) =>
          exchange(new URL(`http://127.0.0.1:${port}${path}`), method, options);
        const live = await ask('/health/live');
        expect([live.status, live.body]).toEqual([200, { status: 'healthy', checks: {} }]);
        expect(live.headers.get('vary')).toBe('Authorization, Accept');
        for (const path of ['/health/ready', '/health']) {
          const { status, headers, body } = await ask(path);
          expect([status, headers.get('retry-after')]).toEqual([503, '1']);
          expect(body).toMatchObject({ status: 'unhealthy', checks: { database: 'disconnected' } });
        }
        const given = { 'X-Request-Id': 'somebody-asks' };
        const { status, headers, body } = await ask('/api/v1/auth/login', 'POST', { body: {}, headers: given });
        const names = ['retry-after', 'x-request-id', 'vary', 'content-type'];
        expect([status, ...names.map((name) => headers.get(name))]).toEqual([
          503,
          '1',
          'somebody-asks',
          'Authorization, Accept',
          'application/json; charset=utf-8',
        ]);
        expect(body).toMatchObject({
          success: false,
          error: { code: 'SERVICE_UNAVAILABLE', message: expect.any(String) },
          meta: { requestId: 'somebody-asks', timestamp: expect.any(String) },
        });
        await get(`http://127.0.0.1:${port}/health/live`, kept);
      }

      gate.open();
      await until(() => server.logs().some(({ msg }) => msg === 'Listening'));
      for (const port of [PORT, METRICS_PORT]) {
        const { status, body } = await exchange(new URL(`http://127.0.0.1:${port}/health/ready`), 'GET');
        expect([status, body.status]).toEqual([200, 'healthy']);
      }
      expect((await fetch(`http://127.0.0.1:${PORT}/api/v1/products`)).status).toBe(200);
      expect(await server.stop()).toBe(0);
      expect(server.stderr).toBe('');
    } finally {
      kept.destroy();
      await server.kill();
      await gate.close();
      await dropDatabase(databaseUrl);
    }
  });

  it('answers probes, too, before it gives up a database that takes the connection and says nothing', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const PORT = String(await freePort());
    const DATABASE_URL = `postgres://stoa@127.0.0.1:${(silent.address() as AddressInfo).port}/stoa`;
    const server = Server.spawn({ NODE_ENV: 'test', DATABASE_URL, JWT_SECRET, PORT });
    const statusOf = (path: string) =>
      fetch(`http://127.0.0.1:${PORT}${path}`).then(
        ({ status }) => status,
        () => undefined,
      );
    try {
      await until(async () => (await statusOf('/health/live')) === 200);
      expect(await statusOf('/health/ready')).toBe(503);
      expect(server.stdout).not.toContain('The database is away');
      expect(await server.stop()).toBe(0);
    } finally {
      await server.kill();
      silent.close();
    }
  });

  it.each(['main', 'worker'])('of %s that waits for a database ends at once by SIGTERM, with success', async (name) => {
    const METRICS_PORT = String(await freePort());
    const DATABASE_URL = 'postgres://stoa:hunter2@127.0.0.1:1/stoa';
    const env = { NODE_ENV: 'test', PORT: '0', METRICS_PORT, DATABASE_URL, JWT_SECRET, SHUTDOWN_DELAY: '20' };
    const server = Server.spawn(env, programOf(name));
    try {
      await until(() => server.stdout.includes('The database is away'));
      expect((await fetch(`http://127.0.0.1:${METRICS_PORT}/health/live`)).status).toBe(200);
      const took = stopwatch();
      expect(await server.stop()).toBe(0);
      expect(took()).toBeLessThan(1000);
      expect(server.stdout + server.stderr).toMatch(/"Stopped"/);
    } finally {
      await server.kill();
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

  it('makes the user who has that address the first admin, between two, and shuts out who was in there', async () => {
    const app = await startApp();
    const replicas: App[] = [];
    try {
      const squatter = await app.register();
      const { email } = squatter.user;
      const refreshToken = squatter.tokens.refreshToken;
      expect((await app.anonymous.post('/auth/password/forgot', { email })).status).toBe(202);
      const links = () => app.sql(`SELECT purpose FROM user_tokens WHERE user_id = $1`, [squatter.id]);
      await until(async () => (await links()).length === 2);
      await app.sql(`UPDATE users SET role = 'user' WHERE role = 'admin'`);

      const env = { DATABASE_URL: app.databaseUrl, ADMIN_EMAIL: email.toUpperCase(), ADMIN_PASSWORD: 'Other-Horse-1' };
      replicas.push(...(await Promise.all([startApp(env), startApp(env)])));

      expect((await app.login(email, 'Other-Horse-1')).user).toMatchObject({
        id: squatter.id,
        role: 'admin',
        version: 2,
      });
      for (const each of [app, ...replicas]) {
        expect((await each.as(squatter.token!).get(`/users/${squatter.id}`)).status).toBe(401);
        expect((await each.anonymous.post('/auth/refresh', { refreshToken })).status).toBe(401);
        expect((await each.anonymous.post('/auth/login', { email, password: PASSWORD })).status).toBe(401);
      }
      expect(await links()).toEqual([]);
      const events = await app.sql(
        `SELECT type, data ->> 'role' AS role FROM events WHERE resource_id = $1 ORDER BY id`,
        [squatter.id],
      );
      expect(events).toEqual([
        { type: 'user.created', role: 'user' },
        { type: 'user.updated', role: 'admin' },
      ]);
      const warnings = replicas.flatMap((each) => each.logs().filter(({ level }) => level === 'warn'));
      expect(warnings).toMatchObject([{ level: 'warn', msg: expect.stringContaining('ADMIN_EMAIL') }]);
    } finally {
      for (const each of [...replicas, app]) await each.stop();
    }
  });

  it('is told of a password that was made up also where the server can not start, which leaves no database behind', async () => {
    const DATA_DIR = await mkdtemp(join(tmpdir(), 'stoa-refused-'));
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      const PORT = String((other.address() as AddressInfo).port);
      const server = await Server.refused({ NODE_ENV: 'development', DATA_DIR, PORT });
      expect(server.stderr).toMatch(/^PORT can not be listened on/);
      expect(server.stdout).toMatch(/Admin {2}\S+ {2}Aa1-\S+/);
      expect(existsSync(join(DATA_DIR, 'postgres/PG_VERSION'))).toBe(true);
      expect(existsSync(join(DATA_DIR, 'postgres/postmaster.pid'))).toBe(false);
    } finally {
      other.close();
      await rm(DATA_DIR, { recursive: true, force: true });
    }
  });

  it('makes up the password of such a user, too, where it is given none', async () => {
    const app = await startApp();
    try {
      const { email } = (await app.register()).user;
      await app.sql(`UPDATE users SET role = 'user' WHERE role = 'admin'`);
      await app.restart({ ADMIN_EMAIL: email, ADMIN_PASSWORD: '' });
      await until(() => app.output().includes(`Admin  ${email}  Aa1-`));
      const [, password] = new RegExp(`Admin  ${email}  (\\S+)`).exec(app.output())!;
      expect((await app.login(email, password)).user.role).toBe('admin');
    } finally {
      await app.stop();
    }
  });

  it('refuses to serve an empty database that it may not migrate', async () => {
    const DATABASE_URL = await emptyDatabase();
    try {
      await expect(startApp({ DATABASE_URL, MIGRATE: 'off' })).rejects.toThrow(/migrat/i);
      const app = await startApp({ DATABASE_URL });
      expect(await app.end()).toBe(0);
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
    const code = app.end();
    expect(await running).toHaveLength(5);
    expect(await code).toBe(0);
  });

  // The second is a name of several addresses.
  it.each(['127.0.0.1', 'localhost'])(
    'answers all that it has accepted at %s, also over kept-alive connections',
    async (HOST) => {
      const app = await startApp({ HOST, SHUTDOWN_DELAY: '3' });
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
      const code = app.end();
      await app.logged(({ msg }) => msg === 'Stopping');
      // It serves on until load balancers have had the time to notice.
      const ready = await app.request('GET', '/health/ready');
      expect([ready.status, ready.body.status, ready.headers.get('retry-after')]).toEqual([503, 'unhealthy', '1']);
      await load;
      expect(lost).toEqual([]);
      expect(await code).toBe(0);
    },
  );

  it.each([
    { SHUTDOWN_DELAY: '1', SHUTDOWN_TIMEOUT: '1' },
    { SHUTDOWN_DELAY: '3', SHUTDOWN_TIMEOUT: '2' },
  ])('is a success also where there is little time for it: %j', async (settings) => {
    const app = await startApp(settings);
    await app.anonymous.get('/health'); // fetch keeps its connection
    expect(await app.end()).toBe(0);
  });

  it('comes at once with a second signal', async () => {
    const app = await startApp({ SHUTDOWN_DELAY: '20' });
    const first = app.end();
    await app.logged(({ msg }) => msg === 'Stopping');
    app.signal('SIGTERM');
    expect(await first).toBe(1);
  });

  it('does not wait for connections that nothing comes over', async () => {
    const app = await startApp();
    await app.anonymous.get('/health'); // fetch keeps its connection
    const took = stopwatch();
    app.signal('SIGTERM');
    expect(await app.ended()).toBe(0);
    expect(took()).toBeLessThan(3000);
    await app.stop();
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
    expect(await app.end()).toBe(0);
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
