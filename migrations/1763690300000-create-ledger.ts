import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateLedger1763690300000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE accounts (
        id uuid CONSTRAINT accounts_pkey PRIMARY KEY,
        kind text NOT NULL,
        user_id uuid,
        currency text NOT NULL,
        balance bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT accounts_user_id_currency_key UNIQUE (user_id, currency),
        CONSTRAINT accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT accounts_kind_check CHECK (kind IN ('user', 'shop', 'outside') AND (kind = 'user') = (user_id IS NOT NULL)),
        CONSTRAINT accounts_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
        CONSTRAINT accounts_balance_check CHECK (kind <> 'user' OR balance >= 0),
        CONSTRAINT accounts_balance_range_check CHECK (balance BETWEEN -9007199254740991 AND 9007199254740991)
      )`);
    await runner.query(`CREATE UNIQUE INDEX accounts_house_key ON accounts (kind, currency) WHERE user_id IS NULL`);
    await runner.query(`CREATE INDEX accounts_by_created_at ON accounts (created_at, id)`);
    await runner.query(`
      CREATE TABLE transfers (
        id uuid CONSTRAINT transfers_pkey PRIMARY KEY,
        kind text NOT NULL,
        from_account_id uuid NOT NULL,
        to_account_id uuid NOT NULL,
        amount bigint NOT NULL,
        currency text NOT NULL,
        note text,
        created_by uuid,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT transfers_from_account_id_fkey FOREIGN KEY (from_account_id) REFERENCES accounts (id),
        CONSTRAINT transfers_to_account_id_fkey FOREIGN KEY (to_account_id) REFERENCES accounts (id),
        CONSTRAINT transfers_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id),
        CONSTRAINT transfers_kind_check CHECK (kind IN ('transfer', 'deposit', 'payment', 'refund')),
        CONSTRAINT transfers_amount_check CHECK (amount BETWEEN 0 AND 9007199254740991),
        CONSTRAINT transfers_accounts_check CHECK (from_account_id <> to_account_id)
      )`);
    await runner.query(`CREATE INDEX transfers_by_from_account ON transfers (from_account_id)`);
    await runner.query(`CREATE INDEX transfers_by_to_account ON transfers (to_account_id)`);
    await runner.query(`
      CREATE TABLE ledger_entries (
        id uuid CONSTRAINT ledger_entries_pkey PRIMARY KEY,
        transfer_id uuid NOT NULL,
        account_id uuid NOT NULL,
        amount bigint NOT NULL,
        balance_after bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT ledger_entries_transfer_id_account_id_key UNIQUE (transfer_id, account_id),
        CONSTRAINT ledger_entries_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfers (id),
        CONSTRAINT ledger_entries_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id)
      )`);
    await runner.query(`CREATE INDEX ledger_entries_by_account ON ledger_entries (account_id, created_at, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ledger_entries`);
    await runner.query(`DROP TABLE transfers`);
    await runner.query(`DROP TABLE accounts`);
  }
}
