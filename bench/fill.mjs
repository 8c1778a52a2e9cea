// What a database begins with: Stoa's own seed, and what the works need beyond it.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';

const execute = promisify(execFile);

/** Everybody's in what the seed makes. */
export const PASSWORD = 'Password-1';

/** Somebody buys these all the time; there are always enough. */
const OFTEN_BOUGHT = 320;
export const ENDLESS = 1_500_000_000;
const PLENTY = 1_000_000_000_000;
const SESSIONS = 1024;

/** Migrates an empty database and fills it. */
export async function fill(url, { users, products, orders }) {
  const given = ['--users', users, '--products', products, '--orders', orders, '--seed', 1, '--until', '2026-01-01'];
  await execute(process.execPath, ['dist/src/seed.js', ...given.map(String)], {
    env: { ...process.env, DATABASE_URL: url, NODE_ENV: 'test' },
  });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of extras()) await client.query(statement);
    await client.query('VACUUM (ANALYZE)');
  } finally {
    await client.end();
  }
}

/** What the works need beyond what a seed makes. */
function extras() {
  return [
    `UPDATE products SET stock = ${ENDLESS}, status = 'active'
      WHERE id IN (SELECT id FROM products WHERE currency = 'EUR' ORDER BY md5(id::text) LIMIT ${OFTEN_BOUGHT})`,
    // Nothing is overdue: a server that gives up orders while it is measured does what the others do not.
    `UPDATE orders SET expires_at = now() + interval '10 years' WHERE status = 'pending'`,
    // Everybody has an account in euros, with more in it than anybody can send.
    `INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
     SELECT gen_random_uuid(), 'user', id, 'EUR', 0, 0, now() FROM users ON CONFLICT DO NOTHING`,
    `INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
     VALUES (gen_random_uuid(), 'outside', NULL, 'EUR', 0, 0, now()) ON CONFLICT DO NOTHING`,
    `WITH given AS (
       INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
       SELECT gen_random_uuid(), 'deposit', house.id, account.id, ${PLENTY}, 'EUR', now()
         FROM accounts AS account JOIN accounts AS house ON house.kind = 'outside' AND house.currency = 'EUR'
        WHERE account.kind = 'user' AND account.currency = 'EUR'
       RETURNING *
     )
     INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at)
     SELECT gen_random_uuid(), id, account_id, sign * amount, created_at
       FROM given, LATERAL (VALUES (from_account_id, -1), (to_account_id, 1)) AS sides (account_id, sign)`,
    // Each knows its first refresh token, whose id is `first token of session N`.
    `INSERT INTO sessions (id, user_id, refresh_hash, rotated_at, created_at, last_used_at, expires_at)
     SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, id,
            translate(rtrim(encode(sha256(convert_to('first token of session ' || n, 'UTF8')), 'base64'), '='), '+/', '-_'),
            now(), now(), now(), now() + interval '10 years'
       FROM (SELECT row_number() OVER (ORDER BY id) AS n, id FROM users LIMIT ${SESSIONS}) AS numbered`,
  ];
}
