import { ApiProperty } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { Amount, Currency, Optional, Text, Uuid } from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import type { Account } from './account.entity.js';
import type { LedgerEntry, Transfer } from './transfer.entity.js';

export class OpenAccountDto {
  @Currency()
  currency: string;
}

export class TransferDto {
  /** An account of yours */
  @Uuid()
  fromAccountId: string;

  @Uuid()
  toAccountId: string;

  /**
   * In the currency's minor unit
   * @example 1999
   */
  @Amount({ min: 1 })
  amount: number;

  /** @example Rent */
  @Optional()
  @Text(0, 1000)
  note?: string;
}

export class DepositDto {
  @Uuid()
  accountId: string;

  /**
   * In the currency's minor unit
   * @example 50000
   */
  @Amount({ min: 1 })
  amount: number;

  /** @example "Opening balance" */
  @Optional()
  @Text(0, 1000)
  note?: string;
}

export class AccountsQuery extends ListQuery {
  /** For moderators: whose accounts */
  @Optional()
  @Uuid()
  userId?: string;

  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class AccountView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ type: 'string', format: 'uuid', nullable: true })
  userId: string | null;

  currency: string;

  @ApiProperty({ type: 'integer', description: "In the currency's minor unit", example: 48001 })
  balance: number;

  createdAt: Date;
}

export class EntriesQuery extends ListQuery {
  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class EntryView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ format: 'uuid' })
  transferId: string;

  @ApiProperty({
    type: 'integer',
    description: "In the currency's minor unit; negative for what went out",
    example: -1999,
  })
  amount: number;

  @ApiProperty({ type: 'integer', example: 48001 })
  balanceAfter: number;

  /** @example transfer */
  kind: string;

  createdAt: Date;
}

export class TrialBalanceView {
  currency: string;

  @ApiProperty({ type: 'integer', minimum: 0, example: 12 })
  accounts: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 34 })
  entries: number;

  /** 0, or the books are wrong */
  @ApiProperty({ type: 'integer', example: 0 })
  balanceTotal: number;

  /** 0, or the books are wrong */
  @ApiProperty({ type: 'integer', example: 0 })
  entriesTotal: number;
}

export class TransferView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  /** @example transfer */
  kind: string;

  @ApiProperty({ format: 'uuid' })
  fromAccountId: string;

  @ApiProperty({ format: 'uuid' })
  toAccountId: string;

  @ApiProperty({ type: 'integer', description: "In the currency's minor unit", example: 1999 })
  amount: number;

  currency: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'Rent' })
  note: string | null;

  createdAt: Date;
}

export function toAccount({ id, userId, currency, balance, createdAt }: Account): AccountView {
  return { id, userId, currency, balance, createdAt };
}

export function toTransfer(transfer: Transfer): TransferView {
  const { id, kind, fromAccountId, toAccountId, amount, currency, note, createdAt } = transfer;
  return { id, kind, fromAccountId, toAccountId, amount, currency, note, createdAt };
}

export function toEntry({ id, transferId, amount, balanceAfter, transfer, createdAt }: LedgerEntry): EntryView {
  return { id, transferId, amount, balanceAfter, kind: transfer.kind, createdAt };
}
