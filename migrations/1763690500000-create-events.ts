import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateEvents1763690500000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // The transaction's id and the position in it order the feed: a reader takes only what is older than the oldest
    // transaction still open, so nothing can appear behind it later.
    await runner.query(`
      CREATE TABLE events (
        id uuid CONSTRAINT events_pkey PRIMARY KEY,
        type text NOT NULL,
        resource_id uuid NOT NULL,
        sequence integer NOT NULL,
        data jsonb NOT NULL,
        created_at timestamptz(3) NOT NULL,
        transaction_id bigint NOT NULL,
        position bigint NOT NULL GENERATED ALWAYS AS IDENTITY
      )`);
    await runner.query(`CREATE INDEX events_feed ON events (transaction_id, position)`);
    await runner.query(`CREATE INDEX events_by_resource ON events (resource_id, sequence)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE events`);
  }
}
