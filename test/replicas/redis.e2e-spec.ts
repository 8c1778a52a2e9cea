import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Answer,
  type App,
  cloneDatabase,
  dropDatabase,
  failureOf,
  JWT_SECRET,
  PASSWORD,
  startApp,
} from '../app.js';
import { planted } from '../environment.js';
import { describeWithRedis, RedisServer } from '../redis.js';
import { Server } from '../server.js';
import { stopwatch } from '../stopwatch.js';
import { until } from '../until.js';

jest.setTimeout(120_000);

const redisLines = (app: App) =>
  app
    .logs()
    .flatMap(({ level, msg }) =>
      /^Redis is/.test(msg ?? '') ? [`${String(level)}: ${String(msg).split(':')[0]}`] : [],
    );
const AWAY = 'warn: Redis is away';
const BACK = 'info: Redis is back';

/** Two servers on one database and one Redis. */
async function replicas(
  redis: RedisServer,
  env: Record<string, string>,
  ofSecond: Record<string, string> = {},
): Promise<App[]> {
  const all = { REDIS_URL: redis.url, TRUST_PROXY: '127.0.0.1', ...env };
  const first = await startApp(all);
  return [first, await startApp({ ...all, DATABASE_URL: first.databaseUrl, ...ofSecond })];
}

const from = (ip: string) => ({ 'x-forwarded-for': ip });
const remaining = ({ headers }: Answer) => Number(headers.get('ratelimit-remaining'));

const health = async (app: App, path = '/health') => {
  const { status, body } = await app.anonymous.get(path);
  return [status, body.status, body.checks.cache];
};

/** Asks both all the time, until it is told to stop; what was answered, and how long the slowest took. */
function load(apps: App[], clients = 4) {
  let isOn = true;
  const statuses = new Map<number, number>();
  let slowest = 0;
  const client = async (number: number) => {
    for (let i = number; isOn; i++) {
      const took = stopwatch();
      const response = await fetch(`${apps[i % apps.length]!.url}/api/v1/products?limit=1`);
      await response.text();
      slowest = Math.max(slowest, took());
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    }
  };
  const running = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return {
    slowestSince() {
      const since = slowest;
      slowest = 0;
      return since;
    },
    async stop() {
      isOn = false;
      await running;
      return Object.fromEntries(statuses);
    },
  };
}

describeWithRedis('two replicas with one Redis', () => {
  let redis: RedisServer;
  let apps: App[];
  beforeAll(async () => {
    redis = await RedisServer.start();
    apps = await replicas(redis, { RATE_LIMIT_ANONYMOUS: '20', RATE_LIMIT_LOGIN: '5' });
  });
  afterAll(async () => {
    for (const app of [...(apps ?? [])].reverse()) await app.stop();
    await redis?.kill();
  });
  const [one, two] = [0, 1].map((index) => () => apps[index]!.anonymous) as [
    () => App['anonymous'],
    () => App['anonymous'],
  ];

  it('share one window', async () => {
    const left = [];
    for (const client of [one(), two(), one()]) left.push(remaining(await client.get('/products', from('192.0.2.1'))));
    expect(left).toEqual([19, 18, 17]);
  });

  it('let exactly as many through as the limit says, when all come at once', async () => {
    const all = Array.from({ length: 100 }, (_, i) => (i % 2 ? one() : two()).get('/products', from('192.0.2.2')));
    const answers = await Promise.all(all);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    const refused = answers.find(({ status }) => status === 429)!;
    expect(failureOf(refused)).toBe('429 RATE_LIMITED');
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(900);
  });

  it('let five wrong passwords through between them, of two hundred at once', async () => {
    const guess = (i: number) =>
      (i % 2 ? one() : two()).post(
        '/auth/login',
        { email: 'ann@example.com', password: 'Wrong-Horse-1' },
        from(`2001:db8:1:1::${i}`),
      );
    const limited = await Promise.all(Array.from({ length: 200 }, (_, i) => guess(i)));
    const statuses = limited.map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(195);
  });

  it('let all of the right ones in that come at once, where four wrong ones have been before', async () => {
    const { user } = await apps[0]!.register('Rita');
    const login = (i: number, password: string) =>
      (i % 2 ? one() : two()).post('/auth/login', { email: user.email, password }, from('192.0.2.77'));
    for (let i = 0; i < 4; i++) expect((await login(i, 'Wrong-Horse-1')).status).toBe(401);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => login(i, PASSWORD)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect((await login(0, 'Wrong-Horse-1')).status).toBe(401);
    const began = performance.now();
    expect(failureOf(await login(1, PASSWORD))).toBe('429 RATE_LIMITED');
    // Nobody is waited for once all have been judged.
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it('take nobody for a guesser who was being let in when a replica died', async () => {
    const { user } = await apps[0]!.register('Dina');
    const { databaseUrl: DATABASE_URL } = apps[0]!;
    const settings = { REDIS_URL: redis.url, TRUST_PROXY: '127.0.0.1', RATE_LIMIT_LOGIN: '5', DATABASE_URL };
    const third = await startApp(settings);
    const body = { email: user.email, password: PASSWORD };
    const logins = Array.from({ length: 5 }, () => third.anonymous.post('/auth/login', body, from('192.0.2.78')));
    const ended = Promise.allSettled(logins);
    const keys = () => redis.ask((client) => client.keys('stoa:limit:login:192.0.2.78*'));
    await until(async () => (await keys()).length > 0);
    await third.stop();
    expect((await ended).some(({ status }) => status === 'rejected')).toBe(true);
    for (const key of await keys()) {
      expect(key).not.toMatch(/wrong$/);
      expect(await redis.ask((client) => client.pttl(key))).toBeLessThanOrEqual(60_000);
    }
  });

  it('keep little of it in Redis, nothing that names anybody, and nothing for longer than the window', async () => {
    const keys = await redis.ask((client) => client.keys('stoa:limit:*'));
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.join()).not.toMatch(/example\.com/);
    for (const key of keys) {
      const left = await redis.ask((client) => client.pttl(key));
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(900_000);
    }
  });
});

describeWithRedis('two replicas whose clocks are a minute apart', () => {
  const WINDOW = 3000;
  const [OK, REFUSED] = [
    [200, 200],
    [429, 429],
  ];
  let redis: RedisServer;
  let apps: App[];
  beforeAll(async () => {
    redis = await RedisServer.start();
    const limits = { RATE_LIMIT_ANONYMOUS: '4', RATE_LIMIT_WINDOW: String(WINDOW / 1000) };
    // Twenty windows ahead: what the first takes would be long past for the second, and the other way round for ever.
    const isAhead = planted('const { now } = Date; Date.now = () => now() + 60_000;');
    apps = await replicas(redis, limits, isAhead);
    // The first answer takes a while, as what it promises is read first.
    for (const app of apps) await app.anonymous.get('/health/live');
  });
  afterAll(async () => {
    for (const app of [...(apps ?? [])].reverse()) await app.stop();
    await redis?.kill();
  });

  it.each([
    ['the one that is right', 0],
    ['the one that is ahead', 1],
  ])('share one window that slides, also where %s begins', async (_, beginner) => {
    const pair = async () => {
      const both = [apps[beginner]!, apps[1 - beginner]!];
      const statuses = [];
      for (const app of both) statuses.push((await app.anonymous.get('/products', from(`192.0.2.${beginner}`))).status);
      return statuses;
    };
    expect([await pair(), await pair(), await pair()]).toEqual([OK, OK, REFUSED]);
    await sleep(WINDOW);
    expect([await pair(), await pair(), await pair()]).toEqual([OK, OK, REFUSED]);
  });
});

describeWithRedis('a Redis that goes away', () => {
  let redis: RedisServer;
  let apps: App[];
  beforeAll(async () => {
    redis = await RedisServer.start();
    apps = await replicas(redis, { RATE_LIMIT_ANONYMOUS: '1000000' });
  });
  afterAll(async () => {
    for (const app of [...(apps ?? [])].reverse()) await app.stop();
    await redis?.kill();
  });

  it.each([
    ['killed', () => redis.kill(), () => redis.start()],
    ['frozen', () => Promise.resolve(redis.freeze()), () => Promise.resolve(redis.thaw())],
  ] as const)('because it is %s fails nothing and slows nothing', async (_, lose, bringBack) => {
    const linesBefore = apps.map((app) => redisLines(app).length);
    // To read for the first time what an answer promises takes this process a while, of which the servers know nothing.
    for (const path of ['/health', '/health/ready']) await Promise.all(apps.map((app) => health(app, path)));
    const traffic = load(apps);
    // Until what a server does for the first time, and slower, is behind it.
    await sleep(3500);
    traffic.slowestSince();

    await lose();
    for (const app of apps) await until(async () => (await health(app))[1] === 'degraded', 2000);
    for (const app of apps) {
      expect(await health(app)).toEqual([200, 'degraded', 'disconnected']);
      expect(await health(app, '/health/ready')).toEqual([200, 'degraded', 'disconnected']);
    }
    await sleep(2500);
    const slowest = traffic.slowestSince();

    await bringBack();
    for (const app of apps) await until(async () => (await health(app))[1] === 'healthy', 5000);
    expect(await health(apps[0]!, '/health/ready')).toEqual([200, 'healthy', 'connected']);
    const counted = remaining(await apps[0]!.anonymous.get('/products', from('192.0.2.3')));
    expect(remaining(await apps[1]!.anonymous.get('/products', from('192.0.2.3')))).toBe(counted - 1);

    expect(Object.keys(await traffic.stop())).toEqual(['200']);
    expect(slowest).toBeLessThan(300);
    for (const [index, app] of apps.entries()) {
      expect(redisLines(app).slice(linesBefore[index])).toEqual([AWAY, BACK]);
    }
  });
});

describeWithRedis('a Redis that is not there at the start', () => {
  it('is not waited for: each process counts for itself until it comes', async () => {
    const redis = await RedisServer.absent();
    const apps = await replicas(redis, { RATE_LIMIT_ANONYMOUS: '5' });
    try {
      for (const app of apps) {
        expect(await health(app, '/health/ready')).toEqual([200, 'degraded', 'disconnected']);
        const answers = [];
        for (let i = 0; i < 6; i++) answers.push(await app.anonymous.get('/products', from('192.0.2.1')));
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
      }
      await redis.start();
      for (const app of apps) await until(async () => (await health(app))[1] === 'healthy', 5000);
      const left = [];
      for (const app of apps) left.push(remaining(await app.anonymous.get('/products', from('192.0.2.2'))));
      expect(left).toEqual([4, 3]);
      for (const app of apps) expect(redisLines(app)).toEqual([AWAY, BACK]);
    } finally {
      for (const app of apps.reverse()) await app.stop();
      await redis.kill();
    }
  });
});

describeWithRedis('a Redis that has no database of the number it is asked for', () => {
  const REASON = 'ERR DB index is out of range';

  it('ends the start, and is written nothing to', async () => {
    const redis = await RedisServer.start();
    const DATABASE_URL = await cloneDatabase();
    try {
      const env = { NODE_ENV: 'test', PORT: '0', DATABASE_URL, JWT_SECRET, REDIS_URL: `${redis.url}/99` };
      const server = await Server.refused(env);
      expect(await server.ended()).toBe(1);
      expect(server.stderr).toBe(`REDIS_URL can not be used: ${REASON}\n`);
      expect(server.logs().filter(({ level }) => level !== 'info')).toEqual([]);
      expect(await redis.ask((client) => client.dbsize())).toBe(0);
    } finally {
      await dropDatabase(DATABASE_URL);
      await redis.kill();
    }
  });

  it('is away where it comes only after the start, and is written nothing to', async () => {
    const redis = await RedisServer.absent();
    const app = await startApp({ REDIS_URL: `${redis.url}/99`, RATE_LIMIT_ANONYMOUS: '100' });
    try {
      await redis.start();
      const warnings = await app.logged(({ reason }) => reason === REASON);
      expect(warnings).toMatchObject([{ level: 'warn', msg: expect.stringMatching(/^Redis is away/) }]);
      for (let i = 0; i < 5; i++) expect((await app.anonymous.get('/products')).status).toBe(200);
      await sleep(2000);
      expect(await health(app, '/health/ready')).toEqual([200, 'degraded', 'disconnected']);
      expect(redisLines(app)).toEqual([AWAY, AWAY]);
      expect(await redis.ask((client) => client.dbsize())).toBe(0);
    } finally {
      await app.stop();
      await redis.kill();
    }
  });

  it('of another number is used by it, also when it has been away', async () => {
    const redis = await RedisServer.start();
    const app = await startApp({ REDIS_URL: `${redis.url}/3`, RATE_LIMIT_ANONYMOUS: '100' });
    const keys = (database: number) =>
      redis.ask(async (client) => {
        await client.select(database);
        return client.keys('stoa:limit:*');
      });
    try {
      for (const isBack of [false, true]) {
        if (isBack) {
          await redis.kill();
          await until(async () => (await health(app))[1] === 'degraded');
          await redis.start();
          await until(async () => (await health(app))[1] === 'healthy');
        }
        await app.anonymous.get('/products');
        expect(await keys(3)).toHaveLength(1);
        expect(await redis.ask((client) => client.dbsize())).toBe(0);
      }
    } finally {
      await app.stop();
      await redis.kill();
    }
  });
});
