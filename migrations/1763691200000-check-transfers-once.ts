import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * An entry is compared with its transfer when it is booked, in the statement that changes the balance: it is one of the
 * transfer's two sides or it is refused, and there is one of each at most. So what is left for the commit is to see that
 * both are there, once for a transfer, where it was done again for each entry.
 */
export class CheckTransfersOnce1763691200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE OR REPLACE FUNCTION book_ledger_entry() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE accounts SET balance = balance + NEW.amount, entries = entries + 1
          FROM transfers
         WHERE accounts.id = NEW.account_id AND transfers.id = NEW.transfer_id AND transfers.currency = accounts.currency
           AND (NEW.account_id, NEW.amount) IN ((from_account_id, -transfers.amount), (to_account_id, transfers.amount))
        RETURNING balance, entries INTO NEW.balance_after, NEW.position;
        IF NOT FOUND THEN
          RAISE EXCEPTION 'The entries of transfer % do not sum to zero: one of % on account % is not a side of it',
            NEW.transfer_id, NEW.amount, NEW.account_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
      END $$`);
    await runner.query(`DROP TRIGGER ledger_entries_even ON ledger_entries`);
    await runner.query(`DROP FUNCTION check_transfer_of_ledger_entries`);
    // Another currency, kind or owner would make other money of what is booked.
    await runner.query(`
      CREATE FUNCTION refuse_other_account() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'An account keeps its currency, its kind and its owner' USING ERRCODE = 'restrict_violation';
      END $$`);
    await runner.query(`
      CREATE TRIGGER accounts_keep_identity BEFORE UPDATE ON accounts FOR EACH ROW
      WHEN ((OLD.id, OLD.currency, OLD.kind, OLD.user_id) IS DISTINCT FROM (NEW.id, NEW.currency, NEW.kind, NEW.user_id))
      EXECUTE FUNCTION refuse_other_account()`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TRIGGER accounts_keep_identity ON accounts`);
    await runner.query(`DROP FUNCTION refuse_other_account`);
    await runner.query(`
      CREATE OR REPLACE FUNCTION book_ledger_entry() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE accounts SET balance = balance + NEW.amount, entries = entries + 1 WHERE id = NEW.account_id
        RETURNING balance, entries INTO NEW.balance_after, NEW.position;
        RETURN NEW;
      END $$`);
    await runner.query(`
      CREATE FUNCTION check_transfer_of_ledger_entries() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM check_transfer(NEW.transfer_id);
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE CONSTRAINT TRIGGER ledger_entries_even AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION check_transfer_of_ledger_entries()`);
  }
}
