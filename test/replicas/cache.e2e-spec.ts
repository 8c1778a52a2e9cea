import { type App, dataOf, startApp } from '../app.js';
import { describeWithRedis, RedisServer } from '../redis.js';

jest.setTimeout(120_000);

/** Of what `/metrics` says, how many reads by id each tier has answered. */
async function readsByTier(app: App): Promise<Record<string, number>> {
  const text = await (await fetch(`${app.url}/metrics`)).text();
  const lines = [...text.matchAll(/^stoa_cache_reads_total\{cache="product",tier="(\w+)"\} (\d+)/gm)];
  return Object.fromEntries(lines.map(([, tier, count]) => [tier, Number(count)]));
}

describeWithRedis('what two replicas have cached', () => {
  let redis: RedisServer;
  let apps: App[];
  let first: App;
  let second: App;
  beforeAll(async () => {
    redis = await RedisServer.start();
    first = await startApp({ REDIS_URL: redis.url, NODE_ENV: 'development' });
    second = await startApp({ REDIS_URL: redis.url, NODE_ENV: 'development', DATABASE_URL: first.databaseUrl });
    apps = [first, second];
  });
  afterAll(async () => {
    for (const app of [...(apps ?? [])].reverse()) await app.stop();
    await redis?.kill();
  });

  const shown = async (app: App, id: string) => dataOf(await app.anonymous.get(`/products/${id}`));
  const newest = async (app: App) => dataOf(await app.anonymous.get('/products'))[0];

  it('is served from memory, and from Redis to a replica that has not met it', async () => {
    const { id } = await first.product();
    const before = await Promise.all(apps.map((app) => readsByTier(app)));
    for (const app of [first, first, second, second]) expect((await shown(app, id)).id).toBe(id);
    const after = await Promise.all(apps.map((app) => readsByTier(app)));
    const gained = after.map((tiers, i) =>
      ['none', 'redis', 'memory'].map((tier) => (tiers[tier] ?? 0) - (before[i]![tier] ?? 0)),
    );
    expect(gained).toEqual([
      [1, 0, 1],
      [0, 1, 1],
    ]);
  });

  it('of a product is never older than the last write or sale, wherever one reads', async () => {
    const admin = await first.admin();
    const { id } = await first.product({ stock: 1000, price: 1001 });
    let isOn = true;
    const readers = apps
      .flatMap((app) => Array.from({ length: 3 }, () => app))
      .map(async (app) => {
        // What one reader sees never goes back.
        for (let last = 0; isOn;) {
          const { version, price }: { version: number; price: number } = await shown(app, id);
          expect(version).toBeGreaterThanOrEqual(last);
          expect(price).toBe(1000 + version);
          last = version;
        }
      });
    dataOf(await admin.patch(`/products/${id}`, { price: 1002 }));
    const writer = async () => {
      for (let version = 3; version < 30; version++) {
        const at = apps[version % 2]!.as(admin.token!);
        const there = apps[(version + 1) % 2]!;
        expect(dataOf(await at.patch(`/products/${id}`, { price: 1000 + version })).version).toBe(version);
        expect((await shown(there, id)).price).toBe(1000 + version);
        expect(await newest(there)).toMatchObject({ id, price: 1000 + version, stock: 1000 - (version - 3) });
        dataOf(await at.post(`/products/${id}/stock-adjustments`, { delta: -1, reason: 'sold' }), 201);
        expect((await shown(there, id)).stock).toBe(1000 - (version - 2));
        expect(await newest(there)).toMatchObject({ id, stock: 1000 - (version - 2) });
      }
    };
    try {
      await writer();
    } finally {
      isOn = false;
    }
    await Promise.all(readers);
  });

  it('of an order and of a list with it is never older than the last change, wherever one reads', async () => {
    const { id: productId } = await first.product();
    const ann = await first.register('Ann Archer');
    const items = [{ productId, quantity: 1 }];
    const { id } = dataOf(await ann.post('/orders', { items }), 201);
    const other = dataOf(await ann.post('/orders', { items }), 201);
    const expectEverywhere = async (expected: object) => {
      for (const user of apps.map((app) => app.as(ann.token!))) {
        expect(dataOf(await user.get(`/orders/${id}`))).toMatchObject(expected);
        // Twice: from what was known of others, and of this one.
        for (let time = 0; time < 2; time++)
          expect(dataOf(await user.get('/orders'))).toEqual([other, expect.objectContaining({ id, ...expected })]);
      }
    };
    await expectEverywhere({ version: 1, note: null });
    for (let version = 2; version < 10; version++) {
      const writer = apps[version % 2]!.as(ann.token!);
      const note = `Ring ${version} times`;
      dataOf(await writer.patch(`/orders/${id}`, { note }));
      await expectEverywhere({ version, note, status: 'pending' });
    }
    dataOf(await ann.post(`/orders/${id}/cancellations`, {}), 201);
    await expectEverywhere({ version: 10, status: 'cancelled', expiresAt: null });
  });

  it('of a user is gone everywhere at once when they are erased, also from Redis', async () => {
    const admin = await first.admin();
    const ann = await first.register('Ann Vanishing');
    for (const app of apps)
      expect(dataOf(await app.as(admin.token!).get(`/users/${ann.id}`)).name).toBe('Ann Vanishing');
    dataOf(await first.as(admin.token!).patch(`/users/${ann.id}`, { name: 'Ann Vanished' }));
    for (const app of apps)
      expect(dataOf(await app.as(admin.token!).get(`/users/${ann.id}`)).name).toBe('Ann Vanished');
    expect((await admin.delete(`/users/${ann.id}`)).status).toBe(204);
    for (const app of [second, first]) expect((await app.as(admin.token!).get(`/users/${ann.id}`)).status).toBe(404);
    expect(await everything(redis)).not.toMatch(/Ann Vanish|ann\.vanish/);
  });

  it('holds no hash and no token', async () => {
    const ann = await first.register('Ann Hashed');
    dataOf(await ann.get('/users/me'));
    const text = await everything(redis);
    expect(text).toMatch(/Ann Hashed/);
    expect(text).not.toMatch(/argon2|password|eyJ/i);
  });

  it('of a write that was rolled back is nothing', async () => {
    const admin = await first.admin();
    const [one, other] = [await first.product(), await first.product()];
    for (const app of apps) await shown(app, one.id);
    expect((await admin.patch(`/products/${one.id}`, { sku: other.sku, name: 'Never' })).status).toBe(409);
    for (const app of apps) expect(await shown(app, one.id)).toMatchObject({ name: 'Mug', sku: one.sku });
  });

  it('is right also while Redis is away, and when it comes back with what it had', async () => {
    const admin = await first.admin();
    const { id } = await first.product({ price: 1 });
    for (const app of apps) await shown(app, id);
    redis.freeze();
    try {
      dataOf(await admin.patch(`/products/${id}`, { price: 2 }));
      for (const app of apps) expect((await shown(app, id)).price).toBe(2);
    } finally {
      redis.thaw();
    }
    for (const app of apps) expect((await shown(app, id)).price).toBe(2);
  });
});

/** All values that Redis holds, as text. */
const everything = (redis: RedisServer): Promise<string> =>
  redis.ask(async (client) => {
    const keys = await client.keys('stoa:cache:*');
    return [...keys, ...(await Promise.all(keys.map((key) => client.get(key))))].join('\n');
  });
