import { Injectable } from '@nestjs/common';
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

  /** Both accounts, locked in the order of their ids, which all who lock two accounts keep: nobody waits in a circle. */
  async lockBoth(ids: readonly [string, string]): Promise<Account[]> {
    const manager = await this.manager();
    return manager
      .createQueryBuilder(Account, 'account')
      .whereInIds(ids)
      .orderBy('account.id')
      .setLock('for_no_key_update')
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

  /** Writes the transfer and its two entries; the database adds them to the balances. */
  async post(transfer: Transfer): Promise<void> {
    await this.create(transfer);
    const { id, fromAccountId, toAccountId, amount, createdAt } = transfer;
    await this.query(
      `INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at)
       VALUES ($1, $3, $4, -($6::bigint), $7), ($2, $3, $5, $6, $7)`,
      [uuid(), uuid(), id, fromAccountId, toAccountId, amount, createdAt],
    );
  }
}
