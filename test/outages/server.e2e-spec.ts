import { setTimeout as sleep } from 'node:timers/promises';
import { type App, startApp } from '../app.js';
import { OrderLoad } from './order-load.js';

const KILLS = process.env.RACES === 'full' ? 20 : 3;
const STOCK = 1_000_000;

describe('a server that is killed under load', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp({ ACCESS_TOKEN_TTL: '3600' });
  });
  afterAll(() => app?.stop());

  it('has every order that it acknowledged, once and whole, and knows every key', async () => {
    const buyers = await Promise.all(
      ['Ann', 'Bob', 'Cleo', 'Dan', 'Eve', 'Fay'].map(async (name) => {
        const user = await app.register(name);
        return { user, accountId: await app.funded(user, 1_000_000_000) };
      }),
    );
    const products = [await app.product({ stock: STOCK }), await app.product({ stock: STOCK })];
    const load = new OrderLoad(
      app,
      buyers,
      products.map(({ id }) => id),
    );
    load.start();
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        await load.more(10);
        await sleep(Math.random() * 100);
        await app.kill();
        await app.start();
      }
      await load.more(10);
    } finally {
      await load.stop();
    }
    expect(load.failures.get('no answer')).toBeGreaterThan(0);
    expect([...load.failures.keys()]).toEqual(['no answer']);
    await load.check(STOCK);
    await load.replay();
  });
});
