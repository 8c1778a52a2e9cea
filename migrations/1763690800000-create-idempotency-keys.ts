import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateIdempotencyKeys1763690800000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // `body` is text, not json: a replay is the first answer byte for byte.
    await runner.query(`
      CREATE TABLE idempotency_keys (
        scope text NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        status smallint NOT NULL,
        location text,
        body text,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key)
      )`);
    await runner.query(`CREATE INDEX idempotency_keys_by_created_at ON idempotency_keys (created_at)`);
    // To forget, with a person, the answer that told of them to whoever made them.
    await runner.query(
      `CREATE INDEX idempotency_keys_by_user ON idempotency_keys (location) WHERE location LIKE '/users/%'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE idempotency_keys`);
  }
}
