import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type App, dataOf, failureOf, NOTHING, startApp, type UserClient } from '../app.js';
import { Gate } from '../gate.js';
import { query } from '../sql.js';
import { stopwatch } from '../stopwatch.js';
import { until } from '../until.js';

jest.setTimeout(600_000);

const FULL = process.env.OUTAGES === 'full';
const ROUNDS = FULL ? 50 : 4;
/** Of a process that has seen as much before. */
const MOST_GROWTH_BYTES = 64 * 1024 * 1024;

/** How long it took, too. */
const timed = async (answer: Promise<Answer>): Promise<Answer & { took: number }> => {
  const took = stopwatch();
  return { ...(await answer), took: took() };
};

const worksWithin = async (user: UserClient, milliseconds: number): Promise<boolean> => {
  for (const took = stopwatch(); took() < milliseconds; await sleep(50)) {
    if ((await user.get('/orders')).status === 200) return true;
  }
  return false;
};

/** What its process holds, in bytes. */
const memoryOf = ({ pid }: App): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

describe('a database that goes away', () => {
  let gate: Gate;
  let app: App;
  let user: UserClient;
  beforeAll(async () => {
    gate = await Gate.to(process.env.TEST_SERVER_URL!);
    app = await startApp({}, (url) => gate.through(url));
    user = await app.register();
  });
  afterEach(() => {
    gate.open();
  });
  afterAll(async () => {
    await app.stop();
    await gate.close();
  });

  const statusOf = async (path: string): Promise<number> => (await app.request('GET', path)).status;

  it.each([
    ['says nothing any more', () => gate.silence()],
    ['refuses', () => gate.shut()],
  ])('and %s: 503 within 3 s, alive all along, and at work again within 5 s', async (_, vanish) => {
    vanish();
    // More than there are connections, so that some wait for one.
    const answers = await Promise.all(Array.from({ length: 30 }, () => timed(user.get('/orders'))));
    for (const answer of answers) {
      expect(failureOf(answer)).toBe('503 SERVICE_UNAVAILABLE');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(answer.took).toBeLessThan(3000);
    }
    const ready = await timed(app.request('GET', '/health/ready'));
    expect([ready.status, ready.body.checks.database]).toEqual([503, 'disconnected']);
    expect(ready.took).toBeLessThan(3000);
    expect(await statusOf('/health')).toBe(503);
    expect(await statusOf('/health/live')).toBe(200);
    // Known by now: nobody waits for it any more.
    expect((await timed(user.post('/accounts', { currency: 'EUR' }))).took).toBeLessThan(500);

    gate.open();
    expect(await worksWithin(user, 5000)).toBe(true);
    expect(await statusOf('/health/ready')).toBe(200);
    const said = app.logs().map(({ msg }) => msg);
    expect(said.filter((message) => message === 'The database is away').length).toBeGreaterThan(0);
    expect(said.at(-1)).not.toBe('The database is away');
  });

  it('and of whose connections some are forgotten on the way: they are cut once no statement takes as long', async () => {
    await Promise.all(Array.from({ length: 10 }, () => user.get('/orders')));
    gate.silence('application_name\0stoa\0');
    const answers = await Promise.all(Array.from({ length: 10 }, () => timed(user.get('/orders'))));
    const statuses = answers.map(({ status }) => status);
    expect(statuses).toContain(503);
    expect(statuses.filter((status) => status !== 503 && status !== 200)).toEqual([]);
    for (const { took } of answers) expect(took).toBeLessThan(20_000);
    expect(await worksWithin(user, 5000)).toBe(true);
    expect(await statusOf('/health/ready')).toBe(200);
  });

  it('and is a server that only reads, since another has taken over: it is as good as away', async () => {
    const name = new URL(app.databaseUrl).pathname.slice(1);
    const takeWrites = (value: string) =>
      query(process.env.TEST_SERVER_URL!, `ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`);
    await takeWrites('on');
    try {
      gate.cut();
      await until(async () => (await statusOf('/health/ready')) === 503);
      expect(failureOf(await user.post('/accounts', { currency: 'EUR' }))).toBe('503 SERVICE_UNAVAILABLE');
    } finally {
      await takeWrites('off');
    }
    expect(await worksWithin(user, 5000)).toBe(true);
    dataOf(await user.post('/accounts', { currency: 'EUR' }), 201);
  });

  it('is not taken for away by a server that stood still with all of the machine', async () => {
    const before = app.logs().length;
    gate.silence();
    await sleep(700); // it is being asked
    app.signal('SIGSTOP');
    await sleep(3000);
    app.signal('SIGCONT');
    await sleep(100);
    gate.open();
    expect(await statusOf('/health/ready')).toBe(200);
    expect(await worksWithin(user, 2000)).toBe(true);
    const said = app.logs().slice(before);
    expect(said.map(({ msg }) => msg)).not.toContain('The database is away');
  });

  it('keeps no server from its end', async () => {
    const other = await startApp({ DATABASE_URL: app.databaseUrl }, (url) => gate.through(url));
    gate.silence();
    const took = stopwatch();
    expect(await other.end()).toBe(0);
    // What a job's connection was asked had 10 s.
    expect(took()).toBeLessThan(8000);
  });

  it('is asked again over another connection when all are cut', async () => {
    gate.cut();
    expect(await worksWithin(user, 2000)).toBe(true);
  });

  it('leaves nothing behind, however often', async () => {
    let before = memoryOf(app);
    for (let round = 0; round < ROUNDS; round++) {
      // By then it has allocated what it keeps.
      if (round === Math.floor(ROUNDS / 2)) before = memoryOf(app);
      const running = Promise.all(Array.from({ length: 20 }, () => user.get(`/orders/${NOTHING}`)));
      if (round % 3 === 0) gate.silence();
      else if (round % 3 === 1) gate.shut();
      else gate.cut();
      for (const { status } of await running) expect([404, 503]).toContain(status);
      gate.open();
      expect(await worksWithin(user, 5000)).toBe(true);
    }
    const [{ connections }] = (await app.sql(
      `SELECT count(*)::int AS connections FROM pg_stat_activity
        WHERE datname = current_database() AND application_name IN ('stoa', 'stoa monitor')`,
    )) as [{ connections: number }];
    expect(connections).toBeLessThanOrEqual(11);
    // Also of those that the database does not know of any more: the pool's, the jobs', and two that watch and listen.
    expect(gate.connections).toBeLessThanOrEqual(16);
    expect(memoryOf(app)).toBeLessThan(before + MOST_GROWTH_BYTES);
    dataOf(await user.get('/orders'));
  });
});

describe('a database that is too slow for what comes', () => {
  it('is kept from more: who comes late is refused at once, and who has waited for too long with them', async () => {
    const app = await startApp({ DATABASE_POOL_MAX: '1' });
    try {
      const user = await app.register();
      const { id } = dataOf(
        await user.post('/orders', { items: [{ productId: (await app.product()).id, quantity: 1 }] }),
        201,
      );
      const holder = await app.hold('SELECT FROM orders WHERE id = $1 FOR UPDATE', [id]);
      // Has the only connection: left to chance, it could be something that runs beside the requests.
      const served = user.patch(`/orders/${id}`, { note: 'Ring twice' });
      await holder.somebodyWaits();
      const waiting = Promise.all(Array.from({ length: 5 }, () => user.get('/orders')));
      await sleep(5000);
      const late = await timed(user.get('/orders'));
      expect(failureOf(late)).toBe('503 SERVICE_UNAVAILABLE');
      expect(late.body.error.message).not.toMatch(/away/);
      expect(late.took).toBeLessThan(500);
      for (const answer of await waiting) expect(failureOf(answer)).toBe('503 SERVICE_UNAVAILABLE');
      await holder.letGo();
      expect((await served).status).toBe(200);
      // It looks again every 50 ms.
      expect(await worksWithin(user, 500)).toBe(true);
    } finally {
      await app.stop();
    }
  });
});

describe('a replica that freezes in the middle of a transaction', () => {
  it('keeps what it has locked from the others for no longer than 10 s', async () => {
    const app = await startApp();
    const other = await startApp({ DATABASE_URL: app.databaseUrl });
    try {
      const user = await app.register();
      const { id } = await app.product({ stock: 5 });
      const items = [{ productId: id, quantity: 1 }];
      const holder = await app.hold('SELECT FROM products WHERE id = $1 FOR UPDATE', [id]);
      const lost = user.post('/orders', { items }).catch(() => undefined);
      await holder.somebodyWaits();
      app.signal('SIGSTOP');
      await holder.letGo();
      const start = Date.now();
      // The product is the frozen one's now. Whoever waits for it is not kept for longer than a lock may take.
      const waited = await timed(other.as(user.token!).post('/orders', { items }));
      expect(failureOf(waited)).toBe('503 SERVICE_UNAVAILABLE');
      expect(waited.took).toBeGreaterThan(7500);
      let status = 0;
      for (; status !== 201 && Date.now() - start < 20_000; await sleep(100)) {
        ({ status } = await other.as(user.token!).post('/orders', { items }));
      }
      expect(status).toBe(201);
      expect(Date.now() - start).toBeGreaterThan(9000);
      app.signal('SIGCONT');
      // It hears that its transaction is over, and goes on.
      expect((await lost)?.status).toBe(503);
      expect((await user.get('/orders')).status).toBe(200);
    } finally {
      app.signal('SIGCONT');
      await other.stop();
      await app.stop();
    }
  });

  it('is not waited for by chance: every connection has its limits', async () => {
    const app = await startApp();
    try {
      await app.sql(`CREATE FUNCTION limits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.description := concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
          current_setting('idle_in_transaction_session_timeout'), current_setting('tcp_keepalives_idle'));
        RETURN NEW; END $$`);
      await app.sql('CREATE TRIGGER limits BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION limits()');
      const { id } = await app.product();
      const [row] = await app.sql('SELECT description FROM products WHERE id = $1', [id]);
      expect(row).toEqual({ description: '10s 8s 10s 30' });
    } finally {
      await app.stop();
    }
  });
});
