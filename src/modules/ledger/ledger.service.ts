import { Injectable } from '@nestjs/common';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { assertMay, may, type Principal } from '../../permissions.js';
import { EventsService } from '../events/index.js';
import { Account } from './account.entity.js';
import { toTransfer } from './ledger.dto.js';
import { AccountNotFound, CurrencyMismatch, TransferNotFound } from './ledger.errors.js';
import { AccountsRepository, TransfersRepository, type TrialBalance } from './ledger.repository.js';
import { type LedgerEntry, Transfer, type TransferKind } from './transfer.entity.js';

interface Movement {
  kind: TransferKind;
  fromAccountId: string;
  toAccountId: string;
  amount: number;
  note?: string | undefined;
  by: string;
}

/** Money: double entry, where every transfer takes from one account what it gives to another. */
@Injectable()
export class LedgerService {
  constructor(
    private readonly accounts: AccountsRepository,
    private readonly transfers: TransfersRepository,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @throws AccountExists */
  open(currency: string, by: Principal): Promise<Account> {
    return this.accounts.create(Account.open('user', by.id, currency));
  }

  list(page: PageRequest, by: Principal): Promise<Page<Account>> {
    return this.accounts.findOwned(by.id, page);
  }

  /** @throws AccountNotFound, ForbiddenError */
  async get(id: string, by: Principal): Promise<Account> {
    const account = await this.accounts.findById(id);
    if (account === null) throw new AccountNotFound();
    assertMay(by, 'read', account.userId);
    return account;
  }

  /** @throws AccountNotFound, ForbiddenError */
  async entries(accountId: string, page: PageRequest, by: Principal): Promise<Page<LedgerEntry>> {
    await this.get(accountId, by);
    return this.accounts.findEntries(accountId, page, by.id);
  }

  trialBalance(): Promise<TrialBalance[]> {
    return this.accounts.trialBalance();
  }

  /** @throws ValidationError, ForbiddenError, InsufficientFunds, CurrencyMismatch */
  async transfer(
    given: { fromAccountId: string; toAccountId: string; amount: number; note?: string },
    by: Principal,
  ): Promise<Transfer> {
    if (given.fromAccountId === given.toAccountId) throw ValidationError.of('toAccountId', 'must be another account');
    await this.assertOwn('fromAccountId', given.fromAccountId, by);
    return this.unitOfWork.run(() => this.move({ ...given, kind: 'transfer', by: by.id }));
  }

  /** Brings money in from the outside world. @throws ValidationError */
  deposit(
    { accountId, amount, note }: { accountId: string; amount: number; note?: string },
    by: Principal,
  ): Promise<Transfer> {
    return this.unitOfWork.run(async () => {
      const account = await this.accounts.findById(accountId);
      if (account?.kind !== 'user') throw ValidationError.of('accountId', 'is not an account');
      const fromAccountId = await this.accounts.houseAccountId('outside', account.currency);
      return this.move({ kind: 'deposit', fromAccountId, toAccountId: accountId, amount, note, by: by.id });
    });
  }

  /** @throws TransferNotFound, ForbiddenError */
  async getTransfer(id: string, by: Principal): Promise<Transfer> {
    const transfer = await this.transfers.findById(id);
    if (transfer === null) throw new TransferNotFound();
    if (may(by, 'read')) return transfer;
    const parties = await Promise.all(
      [transfer.fromAccountId, transfer.toAccountId].map((party) => this.accounts.findById(party)),
    );
    if (!parties.some((party) => party?.userId === by.id))
      throw new ForbiddenError('Only its parties may see a transfer');
    return transfer;
  }

  /**
   * Takes what is owed to the shop out of an account of the payer's.
   *
   * @throws ValidationError, ForbiddenError, InsufficientFunds, CurrencyMismatch
   */
  async pay(
    { accountId, amount, currency }: { accountId: string; amount: number; currency: string },
    by: Principal,
  ): Promise<Transfer> {
    const account = await this.assertOwn('accountId', accountId, by);
    if (account.currency !== currency) throw new CurrencyMismatch(account.currency, currency);
    const toAccountId = await this.accounts.houseAccountId('shop', currency);
    return this.move({ kind: 'payment', fromAccountId: accountId, toAccountId, amount, by: by.id });
  }

  /** Whether any account of the user is not empty; none can become so before the unit of work ends. */
  holdsMoney(userId: string): Promise<boolean> {
    return this.accounts.holdsMoney(userId);
  }

  private async assertOwn(field: string, accountId: string, by: Principal): Promise<Account> {
    const account = await this.accounts.findById(accountId);
    if (account === null) throw ValidationError.of(field, 'is not an account');
    if (account.userId !== by.id) throw new ForbiddenError('This account is not yours');
    return account;
  }

  private async move({ kind, fromAccountId, toAccountId, amount, note, by }: Movement): Promise<Transfer> {
    const locked = await this.accounts.lockBoth([fromAccountId, toAccountId]);
    const from = locked.find(({ id }) => id === fromAccountId);
    const to = locked.find(({ id }) => id === toAccountId);
    if (from === undefined) throw ValidationError.of('fromAccountId', 'is not an account');
    if (to === undefined) throw ValidationError.of('toAccountId', 'is not an account');
    if (kind === 'transfer' && to.kind !== 'user') throw ValidationError.of('toAccountId', 'is not an account');
    if (from.currency !== to.currency) throw new CurrencyMismatch(from.currency, to.currency);
    from.book(-amount);
    to.book(amount);
    const transfer = Transfer.of({
      kind,
      fromAccountId,
      toAccountId,
      amount,
      currency: from.currency,
      note: note ?? null,
      createdBy: by,
    });
    await this.transfers.post(transfer, from, to);
    await this.events.record('transfer.created', transfer, toTransfer(transfer));
    return transfer;
  }
}
