import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { type App, dataOf, startApp } from './app.js';
import { cleanEnvironment } from './environment.js';
import { until } from './until.js';

jest.setTimeout(120_000);

const COUNTS = ['--users', '60', '--products', '120', '--orders', '300'];

describe('npm run seed', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp({ JOBS: 'off' });
  });
  afterAll(() => app?.stop());

  const run = (script: string, args: string[] = [], env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [resolve(__dirname, '../dist/src', script), ...args],
      {
        env: { ...cleanEnvironment(), NODE_ENV: 'test', DATABASE_URL: app.databaseUrl, DATA_DIR: app.dataDir, ...env },
        encoding: 'utf8',
      },
    );
    return { code: status, out: stdout, err: stderr };
  };
  const count = async (table: string): Promise<number> => {
    const [row] = await app.sql(`SELECT count(*)::int AS count FROM ${table}`);
    return row!.count as number;
  };

  it('makes what it is asked for, and the books are right', async () => {
    const before = await count('users');
    const { code, out } = run('seed.js', [...COUNTS, '--seed', '7']);
    expect(out).toMatch(/^60 users, 120 products and 300 orders of seed 7 in /m);
    expect(code).toBe(0);
    expect([(await count('users')) - before, await count('products'), await count('orders')]).toEqual([60, 120, 300]);
    const verified = run('verify-ledger.js');
    expect(verified.out).toMatch(/nothing wrong\n$/);
    expect(verified.out).not.toMatch(/^0 accounts/);
  });

  it('shows them as it shows what was made by its own routes', async () => {
    const admin = await app.admin();
    const list = await admin.get('/orders?limit=100&include=user');
    expect(dataOf(list)).toHaveLength(100);
    for (const path of ['/users', '/products', '/accounts', '/ledger/trial-balance']) {
      expect([path, dataOf(await admin.get(path)).length]).not.toEqual([path, 0]);
    }
    // The feed waits for every transaction of the cluster that began earlier, those of other tests among them.
    const events = async () => dataOf(await admin.get('/events')).length > 0;
    await until(events, 60_000);
    const [{ email }] = (await app.sql(
      `SELECT email FROM users JOIN orders ON user_id = users.id WHERE status = 'pending' LIMIT 1`,
    )) as [{ email: string }];
    const buyer = await app.login(email, 'Password-1');
    const [order] = dataOf(await buyer.get('/orders?status=pending'));
    const known = dataOf(await buyer.get('/accounts')).find((each: any) => each.currency === order.currency);
    const accountId = known?.id ?? (await app.funded(buyer, 0, order.currency));
    dataOf(await admin.post('/deposits', { accountId, amount: order.total }), 201);
    dataOf(await buyer.post(`/orders/${order.id}/payments`, { accountId }), 201);
    const shipped = dataOf(await admin.get('/orders?status=delivered'))[0];
    const history = dataOf(await admin.get(`/orders/${shipped.id}/history`));
    expect(history.map(({ to }: { to: string }) => to)).toEqual(['pending', 'paid', 'shipped', 'delivered']);
  });

  it('leaves nothing half done: each order has its items, history, events, payment and parcel', async () => {
    const torn = `
      SELECT id, status FROM orders WHERE
        total <> (SELECT sum(total) FROM order_items WHERE order_id = orders.id)
        OR (SELECT count(*) FROM order_status_changes WHERE order_id = orders.id) <> version
        OR (SELECT array_agg(sequence ORDER BY transaction_id, id) FROM events WHERE resource_id = orders.id)
           <> ARRAY(SELECT generate_series(1, version))
        OR (SELECT data->>'status' FROM events WHERE resource_id = orders.id ORDER BY sequence DESC LIMIT 1) <> status
        OR (SELECT coalesce(sum(amount), -1) FROM payments WHERE order_id = orders.id)
           <> CASE WHEN status IN ('paid', 'shipped', 'delivered') THEN total ELSE -1 END
        OR (SELECT count(*) FROM shipments WHERE order_id = orders.id) <> (status IN ('shipped', 'delivered'))::int`;
    expect(await app.sql(torn)).toEqual([]);
    const untold = `
      SELECT id FROM (SELECT id FROM users UNION ALL SELECT id FROM products UNION ALL SELECT id FROM transfers) AS made
       WHERE NOT EXISTS (SELECT FROM events WHERE resource_id = made.id)`;
    expect(await app.sql(untold)).toEqual([]);
  });

  it('made each product with what is left of it and all that has been taken since', async () => {
    const wrong = `
      SELECT products.id FROM products JOIN events ON resource_id = products.id AND type = 'product.created'
       WHERE (data->>'stock')::int <> stock + (SELECT coalesce(sum(quantity), 0) FROM order_items
         JOIN orders ON orders.id = order_id WHERE product_id = products.id AND status <> 'cancelled')`;
    expect(await app.sql(wrong)).toEqual([]);
  });

  it('tells as events the very resources that the API shows', async () => {
    const admin = await app.admin();
    const last = (resource: string) => `
      SELECT DISTINCT ON (resource_id) resource_id AS id, data FROM events JOIN ${resource} ON ${resource}.id = resource_id
       ORDER BY resource_id, sequence DESC`;
    for (const resource of ['orders', 'users', 'transfers']) {
      for (const { id, data } of (await app.sql(last(resource))).slice(0, 20)) {
        expect(data).toEqual(dataOf(await admin.get(`/${resource}/${String(id)}`)));
      }
    }
  });

  it('adds to what is there, and leaves the guards of the books on', async () => {
    expect(run('seed.js', COUNTS).out).toMatch(/300 orders of seed 1 in /);
    expect(run('seed.js', COUNTS).out).toMatch(/300 orders of seed 2 in /);
    expect(await count('orders')).toBe(900);
    expect(run('verify-ledger.js').out).toMatch(/nothing wrong\n$/);
    const off = `SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'`;
    expect(await app.sql(off)).toEqual([]);
  });

  it.each([
    [['--seed', '7'], '--seed 7 is in this database already: take another, or none to have one chosen'],
    [['--users', 'many'], '--users must be a number from 0 to 99999999'],
    [['--orders', '1.5'], '--orders must be a number from 0 to 99999999'],
    [['--seed', '0'], '--seed must be a number from 1 to 99999999'],
    [['--users', '0', '--orders', '5'], '--orders needs at least one of --users and of --products'],
    [['--until', '2026-02-31'], '--until must be a date of this century, as 2026-01-31'],
    [['--until', 'today'], '--until must be a date of this century, as 2026-01-31'],
    [['--order', '5'], "Unknown option '--order'"],
    [['--users'], "Option '--users <value>' argument missing"],
  ])('says in one line what is wrong with %p', async (args, line) => {
    const before = await count('orders');
    const { code, err } = run('seed.js', args);
    expect(err.trim().split('\n')).toEqual([expect.stringContaining(line)]);
    expect(code).toBe(1);
    expect(await count('orders')).toBe(before);
  });

  it('makes nothing up in production', () => {
    const env = { NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1:1', JWT_SECRET: 'x'.repeat(40) };
    expect(run('seed.js', COUNTS, env).err).toMatch(/NODE_ENV is production/);
  });

  it('keeps nothing where the books would be wrong', async () => {
    // What somebody with the right to do so has broken before.
    await app.sql('ALTER TABLE accounts DISABLE TRIGGER accounts_keep_balance');
    const change = (by: number) =>
      app.sql(`UPDATE accounts SET balance = balance + $1 WHERE kind = 'shop' AND currency = 'EUR'`, [by]);
    await change(1);
    const before = [await count('users'), await count('events')];
    const { code, err } = run('seed.js', COUNTS);
    expect(err).toMatch(/^The books would be wrong, so nothing is kept:\naccount /);
    expect(code).toBe(1);
    expect([await count('users'), await count('events')]).toEqual(before);
    await change(-1);
    await app.sql('ALTER TABLE accounts ENABLE TRIGGER accounts_keep_balance');
  });
});
