import { Injectable } from '@nestjs/common';
import type { Page, PageRequest } from '../../database/paging.js';
import { GroupCommit, outcomeOf } from '../../database/group-commit.js';
import { IdempotencyKeys, type Keyed } from '../../database/idempotency.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { assertMay, may, type Principal } from '../../permissions.js';
import { EventsService } from '../events/index.js';
import { Account } from './account.entity.js';
import { toTransfer } from './ledger.dto.js';
import {
  AccountClosed,
  AccountNotEmpty,
  AccountNotFound,
  CurrencyMismatch,
  TransferNotFound,
} from './ledger.errors.js';
import {
  type AccountFilters,
  AccountsRepository,
  TransfersRepository,
  type TrialBalance,
} from './ledger.repository.js';
import { type LedgerEntry, Transfer, type TransferKind } from './transfer.entity.js';

interface Movement {
  kind: TransferKind;
  fromAccountId: string;
  toAccountId: string;
  amount: number;
  note?: string | undefined;
  by: string;
  key?: Keyed<Transfer> | undefined;
}

/** Money: double entry, where every transfer takes from one account what it gives to another. */
@Injectable()
export class LedgerService {
  private readonly transferring: GroupCommit<Movement, Transfer>;

  constructor(
    private readonly accounts: AccountsRepository,
    private readonly transfers: TransfersRepository,
    private readonly events: EventsService,
    private readonly keys: IdempotencyKeys,
    private readonly unitOfWork: UnitOfWork,
  ) {
    this.transferring = new GroupCommit(unitOfWork, (movements) => this.moveAll(movements));
  }

  /** @throws AccountExists */
  open(currency: string, by: Principal): Promise<Account> {
    return this.accounts.create(Account.open('user', by.id, currency));
  }

  /** One's own; everybody's for those who may read them. @throws ForbiddenError */
  async list(filters: AccountFilters, page: PageRequest, by: Principal): Promise<Page<Account>> {
    if (may(by, 'read')) return this.accounts.findPage(filters, page, by.id);
    if (filters.userId !== undefined && filters.userId !== by.id)
      throw new ForbiddenError('You may list your own accounts only');
    return this.accounts.findPage({ userId: by.id }, page, by.id);
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

  /**
   * Transfers that come at the same time share a transaction, and each has its own outcome.
   *
   * @param key recorded in the same transaction
   * @throws ValidationError, ForbiddenError, InsufficientFunds, CurrencyMismatch
   */
  async transfer(
    given: { fromAccountId: string; toAccountId: string; amount: number; note?: string },
    by: Principal,
    key?: Keyed<Transfer>,
  ): Promise<Transfer> {
    if (given.fromAccountId === given.toAccountId) throw ValidationError.of('toAccountId', 'must be another account');
    return this.transferring.of({ ...given, kind: 'transfer', by: by.id, key });
  }

  /** Brings money in from the outside world. @throws ValidationError */
  deposit(
    { accountId, amount, note }: { accountId: string; amount: number; note?: string },
    by: Principal,
  ): Promise<Transfer> {
    return this.unitOfWork.run(async () => {
      const account = await this.accounts.findById(accountId);
      if (account?.kind !== 'user' || account.closedAt !== null)
        throw ValidationError.of('accountId', 'is not an account');
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

  /**
   * Gives back what `pay` took, or a part of it, to the account that it came from.
   *
   * @param paymentId the transfer that `pay` made
   * @throws AccountClosed, AmountOutOfRange
   */
  async refund(
    { paymentId, amount, note }: { paymentId: string; amount: number; note?: string | undefined },
    by: Principal,
  ): Promise<Transfer> {
    const payment = await this.getTransfer(paymentId, by);
    return this.move({
      kind: 'refund',
      fromAccountId: payment.toAccountId,
      toAccountId: payment.fromAccountId,
      amount,
      note,
      by: by.id,
    });
  }

  /** Before a user is erased: their accounts take no more money. @throws AccountNotEmpty */
  async close(userId: string): Promise<void> {
    const accounts = await this.accounts.lockOwned(userId);
    if (accounts.some(({ balance }) => balance !== 0)) throw new AccountNotEmpty();
    for (const { id } of accounts) await this.accounts.update(id, { closedAt: new Date() });
  }

  /** Whether a user has no account that takes money. */
  async isClosed(userId: string): Promise<boolean> {
    return (await this.accounts.countOpen(userId)) === 0;
  }

  private async assertOwn(field: string, accountId: string, by: Principal): Promise<Account> {
    const account = await this.accounts.findById(accountId);
    if (account === null) throw ValidationError.of(field, 'is not an account');
    if (account.userId !== by.id) throw new ForbiddenError('This account is not yours');
    return account;
  }

  private async move(movement: Movement): Promise<Transfer> {
    const [outcome] = await this.moveAll([movement]);
    if (outcome instanceof Error) throw outcome;
    return outcome as Transfer;
  }

  /** An error in the place of each movement that is refused. */
  private async moveAll(movements: readonly Movement[]): Promise<(Transfer | Error)[]> {
    const taken = await this.keys.claimAll(movements.map(({ key }) => key?.claim));
    const accounts = await this.accounts.lockAll(
      movements.flatMap(({ fromAccountId, toAccountId }) => [fromAccountId, toAccountId]),
    );
    const outcomes = movements.map((movement, at) => taken[at] ?? outcomeOf(() => draw(movement, accounts)));
    const transfers = outcomes.filter((outcome) => outcome instanceof Transfer);
    await this.transfers.post(transfers);
    await this.events.recordAll(
      'transfer.created',
      transfers.map((transfer) => ({ resource: transfer, data: toTransfer(transfer) })),
    );
    await this.keys.recordAll(
      movements.flatMap(({ key }, at) => {
        const transfer = outcomes[at];
        return key && transfer instanceof Transfer ? [{ claim: key.claim, answer: key.answerOf(transfer) }] : [];
      }),
    );
    return outcomes;
  }
}

/** Takes the amount from one account and gives it to the other, as far as those go that are held in memory. */
function draw(movement: Movement, accounts: ReadonlyMap<string, Account>): Transfer {
  const { kind, fromAccountId, toAccountId, amount, note, by } = movement;
  const from = accounts.get(fromAccountId);
  const to = accounts.get(toAccountId);
  if (from === undefined) throw ValidationError.of('fromAccountId', 'is not an account');
  if (kind === 'transfer' && from.userId !== by) throw new ForbiddenError('This account is not yours');
  if (to === undefined || (kind === 'transfer' && (to.kind !== 'user' || to.closedAt !== null)))
    throw ValidationError.of('toAccountId', 'is not an account');
  if (from.closedAt !== null || to.closedAt !== null) throw new AccountClosed();
  if (from.currency !== to.currency) throw new CurrencyMismatch(from.currency, to.currency);
  from.assertTakes(-amount);
  to.assertTakes(amount);
  from.balance -= amount;
  to.balance += amount;
  return Transfer.of({
    kind,
    fromAccountId,
    toAccountId,
    amount,
    currency: from.currency,
    note: note ?? null,
    createdBy: by,
  });
}
