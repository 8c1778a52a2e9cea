import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateEvents1763690500000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // The transaction's id orders the feed, and within one transaction the event's own id: a reader takes only what is
    // older than the oldest transaction still open, so nothing can appear behind it later.
    await runner.query(`
      CREATE TABLE events (
        id uuid CONSTRAINT events_pkey PRIMARY KEY,
        type text NOT NULL,
        resource_id uuid NOT NULL,
        sequence integer NOT NULL,
        data jsonb NOT NULL,
        created_at timestamptz(3) NOT NULL,
        transaction_id bigint NOT NULL,
        CONSTRAINT events_resource_id_sequence_key UNIQUE (resource_id, sequence)
      )`);
    await runner.query(`CREATE INDEX events_feed ON events (transaction_id, id)`);
    await runner.query(`CREATE INDEX events_feed_by_type ON events (type, transaction_id, id)`);
    // PostgreSQL counts transactions from the beginning again where the data is restored from a dump. What is then added
    // to its count keeps the feed going forward, and every cursor into it good.
    await runner.query(`
      CREATE TABLE event_feed (
        id smallint CONSTRAINT event_feed_pkey PRIMARY KEY,
        transaction_offset bigint NOT NULL,
        CONSTRAINT event_feed_id_check CHECK (id = 1)
      )`);
    await runner.query(`INSERT INTO event_feed (id, transaction_offset) VALUES (1, 0)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE event_feed`);
    await runner.query(`DROP TABLE events`);
  }
}
