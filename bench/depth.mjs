// How far down a list one is must not matter: the page after row 1,000,000 against the first, by way of the repository's
// own code, and whether PostgreSQL answers both by the same plan.
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { readConfig } from '../dist/src/config.js';
import { createDataSource } from '../dist/src/database/data-source.js';
import { CursorKeys, Pager } from '../dist/src/database/paging.js';
import { UnitOfWork } from '../dist/src/database/unit-of-work.js';
import { OrdersRepository } from '../dist/src/modules/orders/orders.repository.js';

const DEPTH = 1_000_000;
const STEP = 100;
const RUNS = 1000;

/** @returns the median time of both pages in ms, their ratio, and whether the plans are the same */
export async function measureDepth(databaseUrl) {
  const dataSource = createDataSource(readConfig({ DATABASE_URL: databaseUrl }));
  await dataSource.initialize();
  try {
    await addOrders(dataSource);
    const orders = new OrdersRepository(new UnitOfWork(dataSource), new Pager(new CursorKeys([randomBytes(32)])));
    // A first page that nobody sorts is remembered, which no page further down is: like is compared with like.
    const page = (cursor, limit = 20) => orders.findPage({}, { limit, cursor, sortBy: 'createdAt' }, 'bench');
    let cursor;
    for (let seen = 0; seen < DEPTH; seen += STEP) cursor = (await page(cursor, STEP)).pagination.nextCursor;

    const times = { first: [], deep: [] };
    for (let run = -100; run < RUNS; run++) {
      for (const [which, from] of [['first'], ['deep', cursor]]) {
        const began = performance.now();
        await page(from);
        if (run >= 0) times[which].push(performance.now() - began);
      }
    }
    const median = (values) => values.sort((a, b) => a - b)[values.length / 2];
    const [first, deep] = [median(times.first), median(times.deep)];
    const plans = [await planOf(dataSource, () => page()), await planOf(dataSource, () => page(cursor))];
    return { first, deep, ratio: deep / first, plans, samePlan: plans[0] === plans[1] };
  } finally {
    await dataSource.destroy();
  }
}

/** Bare rows: an order's items are read by its id, wherever it stands in the list. */
async function addOrders(dataSource) {
  const runner = dataSource.createQueryRunner();
  // Without triggers and foreign keys, which would look at each row.
  await runner.query(
    `SET statement_timeout = 0; SET lock_timeout = 0; SET synchronous_commit = off; SET session_replication_role = replica`,
  );
  await runner.query(
    `INSERT INTO orders (id, number, user_id, status, currency, total, metadata, created_at, updated_at, expires_at, version)
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 19))::uuid,
            'DEPTH-' || n, user_id, 'delivered', 'EUR', n, '{}', at, at, at, 1
       FROM generate_series(1, ${1.05 * DEPTH}) AS n,
            LATERAL (SELECT timestamptz '2020-01-01' + n * interval '1 minute' AS at) AS times,
            (SELECT id AS user_id FROM users LIMIT 1) AS buyers`,
  );
  await runner.query(`RESET session_replication_role`);
  await runner.query(`VACUUM (ANALYZE) orders`);
  await runner.release();
}

/** The nodes of the plan of the statement that reads orders, whoever it was written by. */
async function planOf(dataSource, ask) {
  const statements = [];
  // The very class that the server's own pool makes connections of.
  const { prototype } = dataSource.driver.postgres.Client;
  const { query } = prototype;
  prototype.query = function (...given) {
    const [text, values] = typeof given[0] === 'object' ? [given[0].text, given[0].values] : given;
    statements.push({ text, values: Array.isArray(values) ? values : [] });
    return query.apply(this, given);
  };
  try {
    await ask();
  } finally {
    prototype.query = query;
  }
  const list = statements.find(({ text }) => /\borders\b/.test(text) && /\blimit\b/i.test(text));
  if (list === undefined) throw new Error('No statement that reads orders was seen');
  const [row] = await dataSource.query(`EXPLAIN (FORMAT JSON) ${list.text}`, list.values);
  const nodes = ({ ['Node Type']: type, ['Index Name']: index, Plans: below = [] }) =>
    [[type, index].filter(Boolean).join(' by '), ...below.map(nodes)].join(' < ');
  return nodes(row['QUERY PLAN'][0].Plan);
}
