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
        entries bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        closed_at timestamptz(3),
        CONSTRAINT accounts_user_id_currency_key UNIQUE (user_id, currency),
        CONSTRAINT accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT accounts_kind_check CHECK (kind IN ('user', 'shop', 'outside') AND (kind = 'user') = (user_id IS NOT NULL)),
        CONSTRAINT accounts_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
        CONSTRAINT accounts_balance_check CHECK (kind <> 'user' OR balance >= 0),
        CONSTRAINT accounts_balance_range_check CHECK (balance BETWEEN -9007199254740991 AND 9007199254740991)
      )`);
    await runner.query(`
      CREATE TRIGGER accounts_user_is_living BEFORE INSERT ON accounts FOR EACH ROW WHEN (NEW.user_id IS NOT NULL)
      EXECUTE FUNCTION assert_user_is_living()`);
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
        position bigint NOT NULL,
        amount bigint NOT NULL,
        balance_after bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT ledger_entries_transfer_id_account_id_key UNIQUE (transfer_id, account_id),
        CONSTRAINT ledger_entries_account_id_position_key UNIQUE (account_id, position),
        CONSTRAINT ledger_entries_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfers (id),
        CONSTRAINT ledger_entries_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id)
      )`);
    await this.keepBalances(runner);
    await this.keepEntries(runner);
    await this.keepTransfersEven(runner);
  }

  /** An account's balance is the sum of its entries because nothing but a new entry can change it. */
  private async keepBalances(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION book_ledger_entry() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE accounts SET balance = balance + NEW.amount, entries = entries + 1 WHERE id = NEW.account_id
        RETURNING balance, entries INTO NEW.balance_after, NEW.position;
        RETURN NEW;
      END $$`);
    await runner.query(`
      CREATE TRIGGER ledger_entries_book BEFORE INSERT ON ledger_entries
      FOR EACH ROW EXECUTE FUNCTION book_ledger_entry()`);
    await runner.query(`
      CREATE FUNCTION refuse_balance() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'The balance of an account is the sum of its entries and can not be set'
          USING ERRCODE = 'restrict_violation';
      END $$`);
    // At depth 0 no other trigger is running: the change does not come from an entry.
    await runner.query(`
      CREATE TRIGGER accounts_keep_balance BEFORE UPDATE ON accounts FOR EACH ROW
      WHEN ((OLD.balance, OLD.entries) IS DISTINCT FROM (NEW.balance, NEW.entries) AND pg_trigger_depth() = 0)
      EXECUTE FUNCTION refuse_balance()`);
    await runner.query(`
      CREATE TRIGGER accounts_begin_empty BEFORE INSERT ON accounts FOR EACH ROW
      WHEN (NEW.balance <> 0 OR NEW.entries <> 0)
      EXECUTE FUNCTION refuse_balance()`);
  }

  /** What is written in the ledger stays written. */
  private async keepEntries(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION '% are never changed and never deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
      END $$`);
    for (const table of ['transfers', 'ledger_entries']) {
      await runner.query(`
        CREATE TRIGGER ${table}_keep BEFORE UPDATE OR DELETE ON ${table}
        FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change()`);
      await runner.query(`
        CREATE TRIGGER ${table}_keep_all BEFORE TRUNCATE ON ${table}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()`);
    }
    // For whoever disables triggers. A superuser is stopped by neither, but has to mean it.
    await runner.query(`REVOKE UPDATE, DELETE, TRUNCATE ON ledger_entries FROM PUBLIC, CURRENT_USER`);
  }

  /** At commit: what a transfer takes from one account it gives to another of the same currency, and nothing else. */
  private async keepTransfersEven(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION check_transfer(checked uuid) RETURNS void LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (
          SELECT FROM ledger_entries JOIN accounts ON accounts.id = account_id
           WHERE transfer_id = checked GROUP BY currency HAVING sum(amount) <> 0
        ) OR NOT EXISTS (
          SELECT FROM transfers
            JOIN ledger_entries AS taken ON taken.transfer_id = transfers.id AND taken.account_id = from_account_id
            JOIN ledger_entries AS given ON given.transfer_id = transfers.id AND given.account_id = to_account_id
           WHERE transfers.id = checked AND taken.amount = -transfers.amount AND given.amount = transfers.amount
        ) THEN
          RAISE EXCEPTION 'The entries of transfer % do not sum to zero', checked USING ERRCODE = 'check_violation';
        END IF;
      END $$`);
    for (const [table, column] of [
      ['transfers', 'id'],
      ['ledger_entries', 'transfer_id'],
    ] as const) {
      await runner.query(`
        CREATE FUNCTION check_transfer_of_${table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM check_transfer(NEW.${column});
          RETURN NULL;
        END $$`);
      await runner.query(`
        CREATE CONSTRAINT TRIGGER ${table}_even AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION check_transfer_of_${table}()`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE ledger_entries`);
    await runner.query(`DROP TABLE transfers`);
    await runner.query(`DROP TABLE accounts`);
    await runner.query(`DROP FUNCTION check_transfer_of_ledger_entries, check_transfer_of_transfers, check_transfer`);
    await runner.query(`DROP FUNCTION refuse_ledger_change, refuse_balance, book_ledger_entry`);
  }
}
