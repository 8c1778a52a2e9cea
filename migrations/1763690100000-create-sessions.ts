import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateSessions1763690100000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sessions (
        id uuid CONSTRAINT sessions_pkey PRIMARY KEY,
        user_id uuid NOT NULL,
        refresh_hash text NOT NULL,
        previous_refresh_hash text,
        rotated_at timestamptz(3) NOT NULL,
        ip text,
        user_agent text,
        created_at timestamptz(3) NOT NULL,
        last_used_at timestamptz(3) NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        ended_at timestamptz(3),
        CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
      )`);
    await runner.query(`CREATE INDEX sessions_by_user ON sessions (user_id, created_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE sessions`);
  }
}
