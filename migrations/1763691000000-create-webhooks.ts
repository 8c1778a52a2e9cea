import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateWebhooks1763691000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE webhooks (
        id uuid CONSTRAINT webhooks_pkey PRIMARY KEY,
        url text NOT NULL,
        event_types text[] NOT NULL,
        description text NOT NULL,
        enabled boolean NOT NULL,
        secret text NOT NULL,
        previous_secrets jsonb NOT NULL,
        begins_after bigint NOT NULL,
        failing_since timestamptz(3),
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL,
        version integer NOT NULL
      )`);
    await runner.query(`CREATE INDEX webhooks_by_created_at ON webhooks (created_at, id)`);
    await runner.query(`
      CREATE TABLE webhook_deliveries (
        id uuid CONSTRAINT webhook_deliveries_pkey PRIMARY KEY,
        webhook_id uuid NOT NULL,
        event_id uuid NOT NULL,
        event_type text NOT NULL,
        state text NOT NULL,
        attempts integer NOT NULL,
        last_status integer,
        last_error text,
        last_response text,
        next_attempt_at timestamptz(3),
        leased_until timestamptz(3),
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT webhook_deliveries_webhook_id_event_id_key UNIQUE (webhook_id, event_id),
        CONSTRAINT webhook_deliveries_webhook_id_fkey
          FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE,
        CONSTRAINT webhook_deliveries_state_check CHECK (state IN ('pending', 'delivered', 'dead')),
        CONSTRAINT webhook_deliveries_next_attempt_at_check CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
      )`);
    await runner.query(
      `CREATE INDEX webhook_deliveries_by_created_at ON webhook_deliveries (webhook_id, created_at, id)`,
    );
    // What is due at one endpoint, however many deliveries wait at the others.
    await runner.query(`
      CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at, id)
       WHERE state = 'pending'`);
    await runner.query(`
      CREATE TABLE webhook_cursor (
        id smallint CONSTRAINT webhook_cursor_pkey PRIMARY KEY,
        transaction_id bigint NOT NULL,
        event_id uuid NOT NULL,
        CONSTRAINT webhook_cursor_id_check CHECK (id = 1)
      )`);
    // From here on: there has been no endpoint that could have wanted what was before.
    await runner.query(`
      INSERT INTO webhook_cursor (id, transaction_id, event_id)
      SELECT 1, pg_current_xact_id()::text::bigint + transaction_offset, '00000000-0000-0000-0000-000000000000'
        FROM event_feed`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE webhook_cursor`);
    await runner.query(`DROP TABLE webhook_deliveries`);
    await runner.query(`DROP TABLE webhooks`);
  }
}
