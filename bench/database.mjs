// The databases that are measured on. What they begin with takes a while to make, so it is kept as a template, whose name
// stands for all that it was made from; a run works on a copy.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { ENDLESS, fill } from './fill.mjs';

const PREFIX = 'bench_stoa';
const on = (server, database) => Object.assign(new URL(server), { pathname: `/${database}` }).href;

async function withClient(url, use) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** @returns the URL of a database that is migrated, filled and analysed, and a way to be rid of it */
export async function createDatabase(server, { users, products, orders }, say) {
  const folders = ['migrations', 'src/seeding', 'bench/fill.mjs'];
  const files = folders.flatMap((path) =>
    path.endsWith('.mjs')
      ? [path]
      : readdirSync(path)
          .sort()
          .map((name) => `${path}/${name}`),
  );
  const digest = createHash('sha256').update(`${users} ${products} ${orders}`);
  for (const file of files) digest.update(readFileSync(file));
  const template = `${PREFIX}_${products}_${digest.digest('hex').slice(0, 12)}`;
  const name = `${PREFIX}_run`;
  const admin = on(server, 'postgres');
  await withClient(admin, async (client) => {
    const { rows } = await client.query(`SELECT datname FROM pg_database WHERE datname LIKE '${PREFIX}_%'`);
    // What a run left that was killed.
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    const known = rows.map(({ datname }) => datname);
    if (!known.includes(template)) {
      for (const old of known.filter((each) => each.startsWith(`${PREFIX}_${products}_`))) {
        await client.query(`DROP DATABASE ${old}`);
      }
      say(`Filling a database with ${users} users, ${products} products and ${orders} orders, once`);
      await client.query(`CREATE DATABASE ${template}_new`);
      await fill(on(server, `${template}_new`), { users, products, orders });
      await client.query(`ALTER DATABASE ${template}_new RENAME TO ${template}`);
    }
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  const drop = () => withClient(admin, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
  return { url: on(server, name), drop };
}

/** What the requests are made of. */
export async function readData(url) {
  return withClient(url, async (client) => {
    const rows = async (sql) => (await client.query(sql)).rows;
    const users = await rows(
      `SELECT users.id, email, accounts.id AS "accountId", orders >= 40 AS "buysMuch"
         FROM users JOIN accounts ON user_id = users.id AND currency = 'EUR'
              JOIN LATERAL (SELECT count(*) AS orders FROM orders WHERE orders.user_id = users.id) AS counted ON true
        ORDER BY users.id LIMIT 1000`,
    );
    const often = await rows(`SELECT id FROM products WHERE stock = ${ENDLESS} ORDER BY id`);
    return {
      users,
      orders: await rows(
        `SELECT orders.id, user_id AS "userId" FROM orders
          WHERE user_id IN (SELECT users.id FROM users ORDER BY id LIMIT 1000)
            AND (SELECT count(*) FROM order_items WHERE order_id = orders.id) = 3
          ORDER BY md5(orders.id::text) LIMIT 4000`,
      ),
      products: (await rows(`SELECT id FROM products WHERE status = 'active' ORDER BY md5(id::text) LIMIT 4000`)).map(
        ({ id }) => id,
      ),
      manyProducts: often.slice(0, 300).map(({ id }) => id),
      hotProducts: often.slice(300).map(({ id }) => id),
      sessions: await rows(
        `SELECT id, user_id AS "userId", 'first token of session ' || row_number() OVER (ORDER BY user_id) AS jti FROM sessions ORDER BY user_id`,
      ),
      brands: (await rows(`SELECT DISTINCT lower(split_part(name, ' ', 4)) AS brand FROM products LIMIT 500`)).map(
        ({ brand }) => brand,
      ),
      pairs: (
        await rows(
          `SELECT DISTINCT lower(split_part(name, ' ', 2) || ' ' || split_part(name, ' ', 3)) AS pair FROM products LIMIT 500`,
        )
      ).map(({ pair }) => pair),
    };
  });
}
