import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the lists of moderators are filtered by, and the list of one's accounts. */
const INDEXES = {
  orders_by_status: 'orders (status, created_at, id)',
  orders_by_currency: 'orders (currency, created_at, id)',
  accounts_by_user: 'accounts (user_id, created_at, id)',
};

/** The tables may be large and in use: their indexes are made beside the writers, which only works outside a transaction. */
export class IndexLists1763690900000 implements MigrationInterface {
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    // A large table takes as long as it takes; only waiting for others stays bounded.
    await runner.query(`SET statement_timeout = 0`);
    for (const [name, columns] of Object.entries(INDEXES)) {
      // What an attempt that failed half-way left behind is there, but invalid.
      await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      await runner.query(`CREATE INDEX CONCURRENTLY ${name} ON ${columns}`);
    }
    await runner.query(`RESET statement_timeout`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(INDEXES)) await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
  }
}
