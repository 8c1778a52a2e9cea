import { setTimeout as sleep } from 'node:timers/promises';
import { type App, startApp } from '../app.js';
import { OrderLoad } from './order-load.js';
import { OwnPostgres } from './own-postgres.js';
import { stopwatch } from '../stopwatch.js';
import { until } from '../until.js';

const STOPS = process.env.RACES === 'full' ? 5 : 2;
const STOCK = 1_000_000;

describe('a database that is stopped immediately under load', () => {
  let postgres: OwnPostgres;
  let app: App | undefined;
  beforeAll(async () => {
    postgres = await OwnPostgres.start();
    app = await startApp({ ACCESS_TOKEN_TTL: '3600', DATABASE_URL: postgres.url });
  });
  afterAll(async () => {
    await app?.stop();
    await postgres.remove();
  });

  it('has every order that was acknowledged, once and whole, knows every key, and is found again', async () => {
    const running = app!;
    const buyers = await Promise.all(
      ['Ann', 'Bob', 'Cleo', 'Dan'].map(async (name) => {
        const user = await running.register(name);
        return { user, accountId: await running.funded(user, 1_000_000_000) };
      }),
    );
    const products = [await running.product({ stock: STOCK }), await running.product({ stock: STOCK })];
    const load = new OrderLoad(
      running,
      buyers,
      products.map(({ id }) => id),
    );
    load.start();
    try {
      for (let stop = 0; stop < STOPS; stop++) {
        await load.more(10);
        await sleep(Math.random() * 100);
        await postgres.stopImmediately();
        await sleep(200);
        await postgres.startAgain();
      }
      await load.more(10);
    } finally {
      await load.stop();
    }
    // Whoever asked meanwhile was told to come again, and nobody that the server had broken.
    expect([...load.failures.keys()]).toEqual(['503 SERVICE_UNAVAILABLE']);
    await load.check(STOCK);
    await load.replay();
  });

  it('and frozen as a whole answers nobody, which is known within 3 s and over within 5', async () => {
    const running = app!;
    const user = await running.register();
    postgres.signalAll('SIGSTOP');
    try {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const took = stopwatch();
          const { status, headers } = await user.get('/orders');
          return { status, retryAfter: headers.get('retry-after'), took: took() };
        }),
      );
      for (const { status, retryAfter, took } of answers) {
        expect([status, retryAfter]).toEqual([503, '1']);
        expect(took).toBeLessThan(3000);
      }
      expect((await running.anonymous.get('/health/ready')).status).toBe(503);
      expect((await running.anonymous.get('/health/live')).status).toBe(200);
    } finally {
      postgres.signalAll('SIGCONT');
    }
    await until(async () => (await user.get('/orders')).status === 200, 5000);
  });
});
