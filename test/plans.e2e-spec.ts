import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { type App, cloneDatabase, dataOf, dropDatabase, startApp, type UserClient } from './app.js';
import { cleanEnvironment } from './environment.js';
import { PostgresProxy, type Statement } from './postgres-proxy.js';

jest.setTimeout(180_000);

const VERIFY = resolve(__dirname, '../dist/src/verify-ledger.js');

/** A sort of no more than this does not grow with the table: one page's items, or the matches that a search ranks. */
const FEW = 2000;

/** The nth of them; its id grows with its time, as ids do. */
const id = (what: string, n: string): string =>
  `(lpad(to_hex(1767225600000 + 60000 * (${n})::bigint), 12, '0') || '7000a' || substr(md5('${what}' || ${n}), 1, 15))::uuid`;

/**
 * 200,000 orders in seconds: as a replica takes them over, without triggers and checks of what other tables hold. It all
 * hangs together as if they had been at work; for each delivered order its buyer has been given 100.
 */
const SEED = `
  SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off;
  INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
  SELECT id, name || '@example.com', name || '@example.com', name, CASE WHEN n % 5000 = 0 THEN 'moderator' ELSE 'user' END, 1, 'x', true, at, at, 1
    FROM (SELECT n, ${id('user', 'n')} AS id, 'user' || md5(n::text) AS name,
                 timestamptz '2026-01-01' + n * interval '1 minute' AS at FROM generate_series(1, 20000) AS n) AS made;
  INSERT INTO orders (id, number, user_id, status, currency, total, metadata, created_at, updated_at, expires_at, version)
  SELECT ${id('order', 'n')}, n, ${id('user', '1 + n % 2000')},
         (ARRAY['pending', 'paid', 'shipped', 'delivered', 'delivered', 'delivered', 'cancelled', 'refunded'])[1 + n / 7 % 8],
         (ARRAY['EUR', 'EUR', 'EUR', 'USD', 'GBP'])[1 + n % 5], hashint4(n)::bigint & 1048575, '{}',
         timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-01-01' + n * interval '2 minutes',
         timestamptz '2099-01-01' + n * interval '1 minute', 1
    FROM generate_series(1, 200000) AS n;
  INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
  SELECT id, id, 0, ${id('product', '1 + number::integer % 20000')}, 'X', 'X', 1, total, total FROM orders;
  INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
  SELECT ${id('house', '1')}, 'outside', NULL, 'EUR', -100 * count(*), count(*), '2026-01-01' FROM orders WHERE status = 'delivered'
  UNION ALL
  SELECT users.id, 'user', users.id, 'EUR', 100 * count(orders.id), count(orders.id), users.created_at
    FROM users LEFT JOIN orders ON user_id = users.id AND status = 'delivered' GROUP BY users.id;
  INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
  SELECT id, 'deposit', ${id('house', '1')}, user_id, 100, 'EUR', created_at FROM orders WHERE status = 'delivered';
  INSERT INTO ledger_entries (id, transfer_id, account_id, position, amount, balance_after, created_at)
  SELECT gen_random_uuid(), id, account_id, position, amount, amount * position, created_at
    FROM (SELECT id, account_id, sides.amount, created_at, row_number() OVER (PARTITION BY account_id ORDER BY id) AS position
            FROM transfers, LATERAL (VALUES (from_account_id, -100), (to_account_id, 100)) AS sides (account_id, amount)) AS entries;
  SET session_replication_role = origin;
  INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
  SELECT ${id('product', 'n')}, 'P-' || n,
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
  'Rows Removed by Filter'?: number;
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
    // The planner's settings are those of the server's own connections.
    const options = '-c random_page_cost=1.1 -c jit=off';
    database = new pg.Client({ connectionString: databaseUrl, options });
    await database.connect();
    await database.query(SEED);
    await database.query('RESET ALL');
    await database.query('VACUUM (ANALYZE)');
    const env = { ...cleanEnvironment(), NODE_ENV: 'test', DATABASE_URL: databaseUrl };
    await promisify(execFile)(process.execPath, [VERIFY], { env });
    const { rows } = await database.query('SELECT relname FROM pg_class WHERE relkind = $1 AND reltuples > 10000', [
      'r',
    ]);
    large = new Set(rows.map(({ relname }) => relname));
    expect([...large].sort()).toEqual([
      'accounts',
      'ledger_entries',
      'order_items',
      'orders',
      'product_spellings',
      'product_words',
      'products',
      'transfers',
      'users',
    ]);
    proxy = await PostgresProxy.start(databaseUrl);
    app = await startApp({ DATABASE_URL: proxy.gate.url });
    admin = await app.admin();
  });
  afterAll(async () => {
    await app?.stop();
    await proxy?.gate.close();
    await database?.end();
    if (databaseUrl !== undefined) await dropDatabase(databaseUrl);
  });

  /** What is wrong with how PostgreSQL goes about it: nothing, where it reads no large table whole, and drops and sorts little. */
  const faultsOf = async ({ sql, values }: Statement): Promise<string[]> => {
    if (!/^\s*(SELECT|WITH|UPDATE|DELETE)\b/i.test(sql) || /\bINSERT\b/.test(sql)) return [];
    await database.query('BEGIN');
    const { rows } = await database.query(`EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) ${sql}`, values);
    await database.query('ROLLBACK');
    const faults: string[] = [];
    const look = (plan: Plan): void => {
      const type = plan['Node Type'];
      const dropped = (plan['Rows Removed by Filter'] ?? 0) * plan['Actual Loops'];
      const seen = plan['Actual Rows'] * plan['Actual Loops'] + dropped;
      // One that ends when it has enough is none.
      if (type === 'Seq Scan' && seen > FEW && large.has(plan['Relation Name'] ?? ''))
        faults.push(`reads ${seen} rows of ${plan['Relation Name']}`);
      const sorted = (plan.Plans ?? []).reduce((sum, input) => sum + input['Actual Rows'], 0);
      if (/Sort$/.test(type) && sorted > FEW) faults.push(`sorts ${sorted} rows`);
      if (dropped > FEW) faults.push(`drops ${dropped} rows`);
      plan.Plans?.forEach(look);
    };
    look(rows[0]['QUERY PLAN'][0].Plan);
    return faults.map((fault) => `${fault}: ${sql}`);
  };

  const sorted = (path: string, order: string, keys: string[]): string[] =>
    keys.map((key) => `${path}${path.includes('?') ? '&' : '?'}sortBy=${key}&sortOrder=${order}`);
  /** Both ways along each index; where a filter leads along one that is there already, one way will do. */
  const both = (path: string, keys: string[]): string[] => [
    ...sorted(path, 'asc', keys),
    ...sorted(path, 'desc', keys),
  ];
  const down = (path: string, keys: string[]): string[] => sorted(path, 'desc', keys);
  const ORDERS = ['createdAt', 'updatedAt', 'total'];

  it.each([
    ...both('/orders', ORDERS),
    ...both('/orders?status=paid', ['createdAt']),
    ...down('/orders?status=paid', ['updatedAt', 'total']),
    ...both('/orders?currency=GBP', ['createdAt']),
    ...down('/orders?currency=GBP', ['updatedAt', 'total']),
    ...down('/orders?status=paid&currency=GBP', ORDERS),
    ...both('/users/:user/orders', ORDERS),
    ...down('/orders?userId=:user&status=paid', ORDERS),
    ...down('/orders?minTotal=1000&maxTotal=500000', ['total', 'createdAt']),
    ...down('/orders?createdFrom=2026-02-01&createdTo=2026-04-01', ['createdAt', 'total']),
    ...both('/users', ['createdAt', 'updatedAt', 'email', 'name']),
    ...both('/users?role=moderator', ['createdAt']),
    ...down('/users?role=moderator', ['name']),
    ...down('/users?email=abcd', ['createdAt', 'email']),
    ...down('/users?name=ABCD', ['createdAt', 'name']),
    ...down('/users?createdFrom=2026-01-02&createdTo=2026-01-10', ['createdAt']),
    ...both('/products', ['createdAt', 'price', 'name']),
    ...both('/products?status=active', ['createdAt', 'price', 'name']),
    ...both('/products?currency=USD&inStock=true', ['createdAt']),
    ...down('/products?currency=USD&inStock=true', ['price']),
    ...down('/products?minPrice=100&maxPrice=9000', ['price', 'createdAt']),
    ...down('/products?q=oak%20desk%20bek', ['relevance', 'price']),
    ...down('/products?q=bekl', ['relevance', 'name']),
    ...both('/products?q=common', ['relevance']),
    ...down('/products?q=common', ['createdAt']),
    ...both('/products?q=comon&status=active', ['relevance']),
    ...both('/products?q=common&status=archived', ['relevance']),
    ...down('/products?q=oak', ['relevance']),
    ...down('/products?q=common&minPrice=100&maxPrice=300', ['relevance', 'price']),
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
    const start = proxy.statements.length;
    const { rows } = await database.query(
      `UPDATE orders SET expires_at = now() WHERE id IN (SELECT id FROM orders WHERE status = 'pending' LIMIT 3) RETURNING id`,
    );
    const isOver = async () => {
      const sql = `SELECT count(*)::integer AS cancelled FROM orders WHERE id = ANY($1) AND status = 'cancelled'`;
      return (await database.query(sql, [rows.map(({ id }) => id)])).rows[0].cancelled === 3;
    };
    while (!(await isOver())) await sleep(100);
    const ofLarge = new RegExp(`\\b(${[...large].join('|')})\\b`);
    const seen = new Map(
      proxy.statements
        .slice(start)
        .filter(({ sql }) => ofLarge.test(sql))
        .map((each) => [each.sql, each]),
    );
    const sent = [...seen.keys()];
    expect(sent.some((sql) => /^SELECT.* FROM orders\s+WHERE.*expires_at <= /s.test(sql))).toBe(true);
    expect(sent.some((sql) => /^UPDATE "?orders/.test(sql))).toBe(true);
    expect(sent.some((sql) => /^UPDATE "?products/.test(sql))).toBe(true);
    const faults = [];
    for (const statement of seen.values()) faults.push(...(await faultsOf(statement)));
    expect(faults).toEqual([]);
  });
});
