import { Injectable } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
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
  sortKeys: { createdAt: { sql: 'entry.createdAt', type: 'timestamptz', of: (entry) => entry.createdAt } },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

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
      accounts_balance_range_check: () => new AmountOutOfRange(),
    });
  }

  async findOwned(userId: string, request: PageRequest): Promise<Page<Account>> {
    const query = (await this.manager())
      .createQueryBuilder(Account, 'account')
      .where('account.userId = :userId', { userId });
    return this.pager.page(query, LIST, request, userId);
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
    const { id, balance, createdAt } = Account.open(kind, null, currency);
    await this.query(
      `INSERT INTO accounts (id, kind, currency, balance, created_at) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (kind, currency) WHERE user_id IS NULL DO NOTHING`,
      [id, kind, currency, balance, createdAt],
    );
    return (await find()) ?? id;
  }

  /** Both accounts, locked in the order of their ids, which all who lock two accounts keep: nobody waits in a circle. */
  async lockBoth(ids: readonly [string, string]): Promise<Account[]> {
    const manager = await this.manager();
    return manager
      .createQueryBuilder(Account, 'account')
      .whereInIds(ids)
      .orderBy('account.id')
      .setLock('pessimistic_write')
      .getMany();
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

  async holdsMoney(userId: string): Promise<boolean> {
    // Locked, so that no money arrives between the question and what follows from the answer.
    const rows = await this.query<{ balance: number }>(
      'SELECT balance FROM accounts WHERE user_id = $1 ORDER BY id FOR UPDATE',
      [userId],
    );
    return rows.some(({ balance }) => balance !== 0);
  }
}

@Injectable()
export class TransfersRepository extends Repository<Transfer> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Transfer);
  }

  /** Writes the transfer, its two entries and the two new balances in one statement. */
  async post(transfer: Transfer, from: Account, to: Account): Promise<void> {
    await this.create(transfer);
    await this.query(
      `WITH entries AS (
         INSERT INTO ledger_entries (id, transfer_id, account_id, amount, balance_after, created_at)
         VALUES ($1, $3, $4, -($6::bigint), $7, $9), ($2, $3, $5, $6::bigint, $8, $9)
       )
       UPDATE accounts SET balance = CASE id WHEN $4 THEN $7::bigint ELSE $8::bigint END WHERE id IN ($4, $5)`,
      [uuid(), uuid(), transfer.id, from.id, to.id, transfer.amount, from.balance, to.balance, transfer.createdAt],
    );
  }
}
