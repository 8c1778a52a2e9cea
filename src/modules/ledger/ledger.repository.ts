import { Injectable } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { v7 as uuid } from 'uuid';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ConflictError } from '../../errors.js';
import { Account, type AccountKind } from './account.entity.js';
import { AccountExists, AmountOutOfRange } from './ledger.errors.js';
import { LedgerEntry, Transfer } from './transfer.entity.js';

const LIST: ListDefinition<Account> = {
  name: 'accounts',
  sortKeys: { createdAt: { sql: 'account.createdAt', type: 'timestamptz', of: (account) => account.createdAt } },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

const ENTRIES: ListDefinition<LedgerEntry> = {
  name: 'entries',
  // Entries of one account come in the order in which they were booked, whatever the clocks of the replicas say.
  sortKeys: { createdAt: { sql: 'entry.position', type: 'bigint', of: (entry) => entry.position } },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

export interface AccountFilters {
  userId?: string;
}

export interface TrialBalance {
  currency: string;
  accounts: number;
  entries: number;
  balanceTotal: number;
  entriesTotal: number;
}

@Injectable()
export class AccountsRepository extends Repository<Account> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Account, {
      accounts_user_id_currency_key: () => new AccountExists(),
      accounts_user_is_living: () => new ConflictError('The user has been erased'),
      accounts_balance_range_check: () => new AmountOutOfRange(),
    });
  }

  /** Those of users; the house's own are in no list. */
  async findPage({ userId }: AccountFilters, request: PageRequest, caller: string): Promise<Page<Account>> {
    const query = (await this.manager()).createQueryBuilder(Account, 'account');
    if (userId === undefined) query.where('account.userId IS NOT NULL');
    else query.where('account.userId = :userId', { userId });
    return this.pager.page(query, LIST, request, [userId ?? null, caller]);
  }

  /** The account of the house, which is opened with the first money of its currency. */
  async houseAccountId(kind: Exclude<AccountKind, 'user'>, currency: string): Promise<string> {
    const find = async (): Promise<string | undefined> => {
      const rows = await this.query<{ id: string }>(
        'SELECT id FROM accounts WHERE kind = $1 AND currency = $2 AND user_id IS NULL',
        [kind, currency],
      );
      return rows[0]?.id;
    };
    const known = await find();
    if (known !== undefined) return known;
    const { id, createdAt } = Account.open(kind, null, currency);
    await this.query(
      `INSERT INTO accounts (id, kind, currency, balance, entries, created_at) VALUES ($1, $2, $3, 0, 0, $4)
       ON CONFLICT (kind, currency) WHERE user_id IS NULL DO NOTHING`,
      [id, kind, currency, createdAt],
    );
    return (await find()) ?? id;
  }

  /** Locked in the order of their ids, which all who lock more than one account keep: nobody waits in a circle. */
  async lockAll(ids: readonly string[]): Promise<Map<string, Account>> {
    const rows = await this.prepared<Account>(
      'lock accounts',
      `SELECT id, kind, user_id AS "userId", currency, balance, entries, created_at AS "createdAt",
              closed_at AS "closedAt"
         FROM accounts WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE`,
      [ids],
    );
    return new Map(rows.map((row) => [row.id, Object.assign(new Account(), row)]));
  }

  async findEntries(accountId: string, request: PageRequest, caller: string): Promise<Page<LedgerEntry>> {
    const query = (await this.manager())
      .createQueryBuilder(LedgerEntry, 'entry')
      .innerJoin('entry.transfer', 'transfer')
      .addSelect(['transfer.id', 'transfer.kind'])
      .where('entry.accountId = :accountId', { accountId });
    return this.pager.page(query, ENTRIES, request, [accountId, caller]);
  }

  /** What the accounts and the entries of each currency add up to. */
  trialBalance(): Promise<TrialBalance[]> {
    return this.query<TrialBalance>(
      `SELECT currency, count(*) AS accounts, coalesce(sum(written.entries), 0)::bigint AS entries,
              sum(balance)::bigint AS "balanceTotal", coalesce(sum(written.total), 0)::bigint AS "entriesTotal"
       FROM accounts LEFT JOIN (
         SELECT account_id, count(*) AS entries, sum(amount) AS total FROM ledger_entries GROUP BY account_id
       ) AS written ON written.account_id = accounts.id
       GROUP BY currency ORDER BY currency`,
    );
  }

  /**
   * What is wrong with the newest transfers and the accounts that they touch, seen at one moment: a transfer has two
   * entries, which cancel each other out, and an account stands where its last entry has left it.
   */
  async faultsOfNewest(limit: number): Promise<string[]> {
    const rows = await this.query<{ fault: string }>(
      `WITH newest AS (SELECT * FROM transfers ORDER BY id DESC LIMIT $1),
            touched AS (SELECT from_account_id AS id FROM newest UNION SELECT to_account_id FROM newest)
       SELECT format('transfer %s', newest.id) AS fault
         FROM newest CROSS JOIN LATERAL (
           SELECT count(*) AS entries,
                  count(*) FILTER (
                    WHERE (account_id, entry.amount) IN
                            ((from_account_id, -newest.amount), (to_account_id, newest.amount))
                  ) AS right_ones
             FROM ledger_entries AS entry WHERE transfer_id = newest.id
         ) AS written
        WHERE entries <> 2 OR right_ones <> 2
       UNION ALL
       SELECT format('account %s', account.id)
         FROM accounts AS account LEFT JOIN LATERAL (
           SELECT position, balance_after FROM ledger_entries WHERE account_id = account.id
            ORDER BY position DESC LIMIT 1
         ) AS last ON true
        WHERE account.id = ANY (ARRAY(SELECT id FROM touched))
          AND ((last.position, last.balance_after) IS DISTINCT FROM (account.entries, account.balance)
               OR account.kind = 'user' AND account.balance < 0)`,
      [limit],
    );
    return rows.map(({ fault }) => fault);
  }

  countOpen(userId: string): Promise<number> {
    return this.count({ userId, closedAt: IsNull() });
  }

  /** Locked in the order that all keep, so that no money arrives between the question and what follows from it. */
  async lockOwned(userId: string): Promise<Account[]> {
    return (await this.manager())
      .createQueryBuilder(Account, 'account')
      .where('account.userId = :userId', { userId })
      .orderBy('account.id')
      .setLock('for_no_key_update')
      .getMany();
  }
}

@Injectable()
export class TransfersRepository extends Repository<Transfer> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Transfer);
  }

  /** Writes the transfers and the two entries of each; the database adds them to the balances. */
  async post(transfers: readonly Transfer[]): Promise<void> {
    if (transfers.length === 0) return;
    await this.send(
      'create transfers',
      `INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, note, created_by, created_at)
       SELECT id, kind, "fromAccountId", "toAccountId", amount, currency, note, "createdBy", "createdAt"
         FROM json_to_recordset($1) AS given
           (id uuid, kind text, "fromAccountId" uuid, "toAccountId" uuid, amount bigint, currency text, note text,
            "createdBy" uuid, "createdAt" timestamptz)`,
      [JSON.stringify(transfers)],
    );
    const entries = transfers.flatMap(({ id, fromAccountId, toAccountId, amount, createdAt }) => [
      { id: uuid(), transferId: id, accountId: fromAccountId, amount: -amount, createdAt },
      { id: uuid(), transferId: id, accountId: toAccountId, amount, createdAt },
    ]);
    await this.send(
      'create ledger entries',
      `INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at)
       SELECT id, "transferId", "accountId", amount, "createdAt"
         FROM json_to_recordset($1) AS given
           (id uuid, "transferId" uuid, "accountId" uuid, amount bigint, "createdAt" timestamptz)`,
      [JSON.stringify(entries)],
    );
  }
}
