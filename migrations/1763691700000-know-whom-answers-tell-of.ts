import type { MigrationInterface, QueryRunner } from 'typeorm';

/** To forget, with a person, the answers that told others of them, and not only the one that told of their making. */
export class KnowWhomAnswersTellOf1763691700000 implements MigrationInterface {
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE idempotency_keys ADD COLUMN IF NOT EXISTS about uuid`);
    // A large table takes as long as it takes; only waiting for others stays bounded.
    await runner.query(`SET statement_timeout = 0`);
    // What an attempt that failed half-way left behind is there, but invalid.
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_by_about`);
    await runner.query(
      `CREATE INDEX CONCURRENTLY idempotency_keys_by_about ON idempotency_keys (about) WHERE about IS NOT NULL`,
    );
    await runner.query(
      `UPDATE idempotency_keys SET about = substr(location, 8)::uuid WHERE location LIKE '/users/%' AND about IS NULL`,
    );
    await runner.query(
      `UPDATE idempotency_keys SET about = user_id FROM orders
        WHERE location = '/orders/' || orders.id AND scope <> 'user:' || user_id AND about IS NULL`,
    );
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_by_user`);
    await runner.query(`RESET statement_timeout`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`SET statement_timeout = 0`);
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_by_user`);
    await runner.query(
      `CREATE INDEX CONCURRENTLY idempotency_keys_by_user ON idempotency_keys (location) WHERE location LIKE '/users/%'`,
    );
    await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_by_about`);
    await runner.query(`ALTER TABLE idempotency_keys DROP COLUMN IF EXISTS about`);
    await runner.query(`RESET statement_timeout`);
  }
}
