import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateUsers1763690000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users (
        id uuid CONSTRAINT users_pkey PRIMARY KEY,
        email text,
        email_key text,
        name text NOT NULL,
        role text NOT NULL,
        rights_version integer NOT NULL,
        password_hash text,
        email_verified boolean NOT NULL,
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL,
        erased_at timestamptz(3),
        version integer NOT NULL,
        CONSTRAINT users_email_key UNIQUE (email_key),
        CONSTRAINT users_role_check CHECK (role IN ('user', 'moderator', 'admin')),
        CONSTRAINT users_erased_check
          CHECK ((erased_at IS NULL) = (email IS NOT NULL AND email_key IS NOT NULL AND password_hash IS NOT NULL))
      )`);
    await runner.query(`CREATE INDEX users_by_created_at ON users (created_at, id) WHERE erased_at IS NULL`);
    await runner.query(`CREATE INDEX users_by_updated_at ON users (updated_at, id) WHERE erased_at IS NULL`);
    await runner.query(`CREATE INDEX users_by_email ON users (email_key, id) WHERE erased_at IS NULL`);
    await runner.query(`CREATE INDEX users_by_name ON users (lower(name), id) WHERE erased_at IS NULL`);
    await runner.query(`CREATE INDEX users_by_role ON users (role, created_at, id) WHERE erased_at IS NULL`);
    // For what an email or a name contains.
    await runner.query(`CREATE EXTENSION IF NOT EXISTS pg_trgm`);
    await runner.query(`CREATE INDEX users_by_part_of_email ON users USING gin (email_key gin_trgm_ops)`);
    await runner.query(`CREATE INDEX users_by_part_of_name ON users USING gin (name gin_trgm_ops)`);
    await runner.query(`CREATE INDEX users_admins ON users (id) WHERE role = 'admin'`);
    // Nothing can be begun for somebody who is being erased at this very moment: erasing locks the row, and whoever comes
    // after that finds it erased.
    await runner.query(`
      CREATE FUNCTION assert_user_is_living() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM FROM users WHERE id = NEW.user_id AND erased_at IS NULL FOR KEY SHARE;
        IF NOT FOUND THEN
          RAISE EXCEPTION 'the user is erased'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_TABLE_NAME || '_user_is_living';
        END IF;
        RETURN NEW;
      END $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE users`);
    await runner.query(`DROP FUNCTION assert_user_is_living()`);
  }
}
