import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Nobody asks for transfers by their accounts: entries tell what became of an account, and accounts are never deleted. */
const INDEXES = {
  transfers_by_from_account: 'transfers (from_account_id)',
  transfers_by_to_account: 'transfers (to_account_id)',
};

/** Beside those who move money, which only works outside a transaction. */
export class DropTransferIndexes1763691600000 implements MigrationInterface {
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(INDEXES)) await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    // A large table takes as long as it takes; only waiting for others stays bounded.
    await runner.query(`SET statement_timeout = 0`);
    for (const [name, columns] of Object.entries(INDEXES)) {
      // What an attempt that failed half-way left behind is there, but invalid.
      await runner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      await runner.query(`CREATE INDEX CONCURRENTLY ${name} ON ${columns}`);
    }
    await runner.query(`RESET statement_timeout`);
  }
}
