import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateUserTokens1763690700000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE user_tokens (
        id uuid CONSTRAINT user_tokens_pkey PRIMARY KEY,
        user_id uuid NOT NULL,
        purpose text NOT NULL,
        token_hash text NOT NULL,
        email_key text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        CONSTRAINT user_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT user_tokens_token_hash_key UNIQUE (token_hash),
        CONSTRAINT user_tokens_purpose_check CHECK (purpose IN ('verify-email', 'reset-password'))
      )`);
    await runner.query(`CREATE INDEX user_tokens_by_user ON user_tokens (user_id, purpose)`);
    await runner.query(`CREATE INDEX user_tokens_by_expiry ON user_tokens (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE user_tokens`);
  }
}
