import pg from 'pg';
import { type App, cloneDatabase, dataOf, dropDatabase, startApp, type UserClient } from './app.js';
import { PostgresProxy, type Statement } from './postgres-proxy.js';

jest.setTimeout(180_000);

/** A sort of no more than this does not grow with the table: one page's items, or the matches that a search ranks. */
const FEW = 2000;

/** 200,000 orders in seconds: as a replica takes them over, without triggers and checks of what other tables hold. */
const SEED = `
  SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off;
  INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
  SELECT id, name || '@example.com', name || '@example.com', name, CASE WHEN n % 5000 = 0 THEN 'moderator' ELSE 'user' END, 1, 'x', true, at, at, 1
    FROM (SELECT n, overlay(md5('u' || n) placing '7' from 13 for 1)::uuid AS id, 'user' || md5(n::text) AS name,
                 timestamptz '2026-01-01' + n * interval '1 minute' AS at FROM generate_series(1, 20000) AS n) AS made;
  INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
  SELECT id, 'user', id, 'EUR', 0, 0, created_at FROM users;
  INSERT INTO orders (id, number, user_id, status, currency, total, metadata, created_at, updated_at, expires_at, version)
  SELECT overlay(md5('o' || n) placing '7' from 13 for 1)::uuid, n, overlay(md5('u' || 1 + n % 2000) placing '7' from 13 for 1)::uuid,
         (ARRAY['pending', 'paid', 'shipped', 'delivered', 'delivered', 'delivered', 'cancelled', 'refunded'])[1 + n % 8],
         (ARRAY['EUR', 'EUR', 'EUR', 'USD', 'GBP'])[1 + n % 5], hashint4(n)::bigint & 1048575, '{}',
         timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-01-01' + n * interval '2 minutes',
         timestamptz '2099-01-01' + n * interval '1 minute', 1
    FROM generate_series(1, 200000) AS n;
  INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
  SELECT id, id, 0, id, 'X', 'X', 1, total, total FROM orders;
  INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
  SELECT id, 'payment', user_id, id, total, 'EUR', created_at FROM orders WHERE status = 'delivered' AND total > 0
  ON CONFLICT DO NOTHING;
  INSERT INTO ledger_entries (id, transfer_id, account_id, position, amount, balance_after, created_at)
  SELECT id, id, user_id, row_number() OVER (PARTITION BY user_id ORDER BY id), 1, 1, created_at FROM orders WHERE status = 'delivered';
  SET session_replication_role = origin;
  INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
  SELECT overlay(md5('p' || n) placing '7' from 13 for 1)::uuid, 'P-' || n,
         (ARRAY['Oak', 'Felt', 'Steel'])[1 + n % 3] || ' ' || (ARRAY['desk', 'lamp', 'chair', 'mat', 'kettle'])[1 + n % 5] || ' ' || translate(n::text, '0123456789', 'abeiklmnop'),
         CASE n % 2 WHEN 0 THEN 'A common thing' ELSE 'A rarer one' END, hashint4(n)::bigint & 65535,
         (ARRAY['EUR', 'EUR', 'USD'])[1 + n % 3], n % 7, (ARRAY['active', 'active', 'active', 'draft'])[1 + n % 4],
         timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-01-01', 1, 1
    FROM generate_series(1, 20000) AS n`;

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  Plans?: Plan[];
}

describe('with 200,000 orders', () => {
  let app: App;
  let proxy: PostgresProxy;
  let databaseUrl: string;
  let database: pg.Client;
  let admin: UserClient;
  /** Tables that are large here; PostgreSQL rightly reads the others as a whole. */
  let large: Set<string>;
  beforeAll(async () => {
    databaseUrl = await cloneDatabase();
    database = new pg.Client(databaseUrl);
    await database.connect();
    await database.query(SEED);
    await database.query('RESET ALL');
    await database.query('VACUUM (ANALYZE)');
    const { rows } = await database.query('SELECT relname FROM pg_class WHERE relkind = $1 AND reltuples > 10000', [
      'r',
    ]);
    large = new Set(rows.map(({ relname }) => relname));
    proxy = await PostgresProxy.start(databaseUrl);
    app = await startApp({ DATABASE_URL: proxy.url });
    admin = await app.admin();
  });
  afterAll(async () => {
    await app?.stop();
    await proxy?.stop();
    await database?.end();
    if (databaseUrl !== undefined) await dropDatabase(databaseUrl);
  });

  /** What is wrong with how PostgreSQL goes about it: nothing, where it reads no large table whole and sorts little. */
  const faultsOf = async ({ sql, values }: Statement): Promise<string[]> => {
    if (!/^\s*(SELECT|WITH)/i.test(sql) || /\b(INSERT|UPDATE|DELETE)\b/.test(sql)) return [];
    const { rows } = await database.query(`EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) ${sql}`, values);
    const faults: string[] = [];
    const look = (plan: Plan): void => {
      const type = plan['Node Type'];
      if (type === 'Seq Scan' && large.has(plan['Relation Name'] ?? ''))
        faults.push(`reads all of ${plan['Relation Name']}`);
      const sorted = (plan.Plans ?? []).reduce((sum, input) => sum + input['Actual Rows'], 0);
      if (/Sort$/.test(type) && sorted > FEW) faults.push(`sorts ${sorted} rows`);
      plan.Plans?.forEach(look);
    };
    look(rows[0]['QUERY PLAN'][0].Plan);
    return faults.map((fault) => `${fault}: ${sql}`);
  };

  const sorts = (path: string, keys: string[]): string[] =>
    keys.flatMap((key) =>
      ['asc', 'desc'].map((order) => `${path}${path.includes('?') ? '&' : '?'}sortBy=${key}&sortOrder=${order}`),
    );
  const ORDERS = ['createdAt', 'updatedAt', 'total'];

  it.each([
    ...sorts('/orders', ORDERS),
    ...sorts('/orders?status=paid', ORDERS),
    ...sorts('/orders?currency=GBP', ORDERS),
    ...sorts('/orders?status=paid&currency=GBP', ORDERS),
    ...sorts('/users/:user/orders', ORDERS),
    ...sorts('/orders?userId=:user&status=paid', ORDERS),
    ...sorts('/orders?minTotal=1000&maxTotal=500000', ['total', 'createdAt']),
    ...sorts('/orders?createdFrom=2026-02-01&createdTo=2026-04-01', ['createdAt', 'total']),
    ...sorts('/users', ['createdAt', 'updatedAt', 'email', 'name']),
    ...sorts('/users?role=moderator', ['createdAt', 'name']),
    ...sorts('/users?email=abcd', ['createdAt', 'email']),
    ...sorts('/users?name=ABCD', ['createdAt', 'name']),
    ...sorts('/users?createdFrom=2026-01-02&createdTo=2026-01-10', ['createdAt']),
    ...sorts('/products', ['createdAt', 'price', 'name']),
    ...sorts('/products?status=active', ['createdAt', 'price', 'name']),
    ...sorts('/products?currency=USD&inStock=true', ['createdAt', 'price']),
    ...sorts('/products?minPrice=100&maxPrice=9000', ['price', 'createdAt']),
    ...sorts('/products?q=oak%20desk%20bek', ['relevance', 'price']),
    ...sorts('/products?q=bekl', ['relevance', 'name']),
    ...sorts('/products?q=common', ['relevance', 'createdAt']),
    ...sorts('/products?q=comon&status=active', ['relevance']),
    '/accounts/:account/entries',
    '/accounts',
  ])('%s goes along indexes', async (template) => {
    const { rows } = await database.query('SELECT user_id FROM orders LIMIT 1');
    const path = template.replace(/:(user|account)/, String(rows[0].user_id));
    const { result, statements } = await proxy.during(async () => {
      const first = await admin.get(`${path}${path.includes('?') ? '&' : '?'}limit=20`);
      const { nextCursor } = first.body.meta.pagination ?? {};
      if (nextCursor) dataOf(await admin.get(`${path}${path.includes('?') ? '&' : '?'}limit=20&cursor=${nextCursor}`));
      return first;
    });
    dataOf(result);
    expect(statements.length).toBeGreaterThan(0);
    const faults = [];
    for (const statement of statements) faults.push(...(await faultsOf(statement)));
    expect(faults).toEqual([]);
  });

  it('and so do the jobs', async () => {
    await new Promise((wake) => setTimeout(wake, 2500));
    const seen = new Map(proxy.statements.filter(({ sql }) => /\borders\b/.test(sql)).map((each) => [each.sql, each]));
    expect([...seen.keys()].some((sql) => /expires_at/.test(sql))).toBe(true);
    const faults = [];
    for (const statement of seen.values()) faults.push(...(await faultsOf(statement)));
    expect(faults).toEqual([]);
  });
});
