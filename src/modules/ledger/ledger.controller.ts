import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id, Requires } from '../../http/decorators.js';
import { Key, type KeyFor, SharesTransaction } from '../../http/idempotency.interceptor.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import type { Principal } from '../../permissions.js';
import {
  AccountsQuery,
  AccountView,
  DepositDto,
  EntriesQuery,
  EntryView,
  toEntry,
  TrialBalanceView,
  OpenAccountDto,
  toAccount,
  toTransfer,
  TransferDto,
  TransferView,
} from './ledger.dto.js';
import { LedgerService } from './ledger.service.js';
import type { Transfer } from './transfer.entity.js';

@ApiTags('Ledger')
@Controller()
export class LedgerController {
  constructor(private readonly ledger: LedgerService) {}

  /** Open an account */
  @Post('accounts')
  @Answers(201, AccountView, { conflict: 'You have one of this currency' })
  async open(@Body() { currency }: OpenAccountDto, @CurrentUser() user: Principal): Promise<Created<AccountView>> {
    const account = await this.ledger.open(currency, user);
    return new Created(`/accounts/${account.id}`, toAccount(account));
  }

  /** List accounts: yours, or every user's for moderators */
  @Get('accounts')
  @Answers(200, [AccountView])
  async list(@Query() query: AccountsQuery, @CurrentUser() user: Principal): Promise<Page<AccountView>> {
    const page = await this.ledger.list(filtersOf(query), query, user);
    return page.map(toAccount);
  }

  /** Get an account */
  @Get('accounts/:id')
  @ApiId()
  @Answers(200, AccountView)
  async get(@Id() id: string, @CurrentUser() user: Principal): Promise<AccountView> {
    return toAccount(await this.ledger.get(id, user));
  }

  /** List what went in and out of an account */
  @Get('accounts/:id/entries')
  @ApiId()
  @Answers(200, [EntryView])
  async entries(
    @Id() id: string,
    @Query() query: EntriesQuery,
    @CurrentUser() user: Principal,
  ): Promise<Page<EntryView>> {
    const page = await this.ledger.entries(id, query, user);
    return page.map(toEntry);
  }

  /**
   * Get the trial balance
   * @remarks The books are right where both totals of every currency are 0
   */
  @Get('ledger/trial-balance')
  @Requires('admin')
  @Answers(200, TrialBalanceView, { each: true })
  trialBalance(): Promise<TrialBalanceView[]> {
    return this.ledger.trialBalance();
  }

  /** Send money to another account */
  @Post('transfers')
  @SharesTransaction()
  @Answers(201, TransferView, { fails: ['INSUFFICIENT_FUNDS', 'CURRENCY_MISMATCH'] })
  async transfer(
    @Body() body: TransferDto,
    @CurrentUser() user: Principal,
    @Key() key: KeyFor,
  ): Promise<Created<TransferView>> {
    return transferred(await this.ledger.transfer(body, user, key(transferred)));
  }

  /** Get a transfer */
  @Get('transfers/:id')
  @ApiId()
  @Answers(200, TransferView)
  async getTransfer(@Id() id: string, @CurrentUser() user: Principal): Promise<TransferView> {
    return toTransfer(await this.ledger.getTransfer(id, user));
  }

  /** Bring in money from outside */
  @Post('deposits')
  @Requires('admin')
  @Answers(201, TransferView)
  async deposit(@Body() body: DepositDto, @CurrentUser() user: Principal): Promise<Created<TransferView>> {
    return transferred(await this.ledger.deposit(body, user));
  }
}

const transferred = (transfer: Transfer): Created<TransferView> =>
  new Created(`/transfers/${transfer.id}`, toTransfer(transfer));
