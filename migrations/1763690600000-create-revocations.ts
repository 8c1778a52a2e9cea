import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateRevocations1763690600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // The transaction's id lets a replica ask for what it can not have seen yet, whatever order commits came in.
    await runner.query(`
      CREATE TABLE revocations (
        id uuid CONSTRAINT revocations_pkey PRIMARY KEY,
        session_id uuid,
        user_id uuid,
        rights_version integer,
        created_at timestamptz(3) NOT NULL,
        transaction_id bigint NOT NULL,
        CONSTRAINT revocations_target_check
          CHECK ((session_id IS NULL) = (user_id IS NOT NULL AND rights_version IS NOT NULL))
      )`);
    await runner.query(`CREATE INDEX revocations_feed ON revocations (transaction_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE revocations`);
  }
}
