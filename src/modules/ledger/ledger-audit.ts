/** One thing that is wrong in the books, in words. */
export type Fault = string;

export interface Audited {
  accounts: number;
  transfers: number;
}

/** Asks the database; the rows as they come. */
export type Query = <R>(sql: string, parameters: readonly unknown[]) => Promise<R[]>;

interface Batch {
  checked: number;
  last: string | null;
  faults: string[] | null;
}

const NOTHING_YET = '00000000-0000-0000-0000-000000000000';

/**
 * What must hold of accounts: each entry follows from the one before it, and the last one leaves the balance. The sums
 * are of the type numeric: of wrong books they could be past every integer.
 */
const ACCOUNTS = `
  WITH checked AS (SELECT * FROM accounts WHERE id > $1 ORDER BY id LIMIT $2),
  compared AS (
    SELECT checked.*, sums.*
      FROM checked CROSS JOIN LATERAL (
        SELECT count(*) AS counted, coalesce(sum(amount), 0) AS total,
               count(*) FILTER (WHERE position <> expected OR balance_after <> running) AS out_of_line
          FROM (
            SELECT amount, position, balance_after,
                   row_number() OVER ordered AS expected, sum(amount) OVER ordered AS running
              FROM ledger_entries WHERE account_id = checked.id
            WINDOW ordered AS (ORDER BY position ROWS UNBOUNDED PRECEDING)
          ) AS entries
      ) AS sums
  )
  SELECT count(*)::integer AS checked, max(id::text COLLATE "C") AS last,
         array_agg(format(
           'account %s (%s %s): balance %s and %s entries, but its %s entries sum to %s and %s of them do not follow from the one before',
           id, kind, currency, balance, entries, counted, total, out_of_line
         )) FILTER (WHERE balance <> total OR entries <> counted OR out_of_line > 0 OR kind = 'user' AND balance < 0) AS faults
    FROM compared`;

/** What must hold of transfers: one entry on each of the two accounts, of the same currency, and no other. */
const TRANSFERS = `
  WITH checked AS (SELECT * FROM transfers WHERE id > $1 ORDER BY id LIMIT $2),
  compared AS (
    SELECT checked.*, sums.*
      FROM checked CROSS JOIN LATERAL (
        SELECT count(*) AS counted, coalesce(sum(ledger_entries.amount), 0) AS total,
               count(*) FILTER (
                 WHERE (account_id, ledger_entries.amount) IN
                         ((from_account_id, -checked.amount), (to_account_id, checked.amount))
                   AND accounts.currency = checked.currency
               ) AS right_ones
          FROM ledger_entries JOIN accounts ON accounts.id = account_id
         WHERE transfer_id = checked.id
      ) AS sums
  )
  SELECT count(*)::integer AS checked, max(id::text COLLATE "C") AS last,
         array_agg(format('transfer %s (%s %s %s): its %s entries sum to %s', id, kind, amount, currency, counted, total))
           FILTER (WHERE counted <> 2 OR right_ones <> 2) AS faults
    FROM compared`;

/**
 * Goes through all of the books, some at a time, so that it needs no more memory for millions of entries than for one.
 * Each batch is one statement and sees one moment, so it can run while money moves.
 *
 * @param report told of each fault
 */
export async function auditLedger(query: Query, report: (fault: Fault) => void, batchSize = 1000): Promise<Audited> {
  const walk = async (sql: string): Promise<number> => {
    let total = 0;
    for (let after: string | null = NOTHING_YET; after !== null;) {
      const [batch]: Batch[] = await query<Batch>(sql, [after, batchSize]);
      batch?.faults?.forEach(report);
      total += batch?.checked ?? 0;
      after = batch?.last ?? null;
    }
    return total;
  };
  return { accounts: await walk(ACCOUNTS), transfers: await walk(TRANSFERS) };
}
