import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';
import { AmountOutOfRange, InsufficientFunds } from './ledger.errors.js';

/** A user's money, the shop's takings, or the world outside that deposits come from. */
export type AccountKind = 'user' | 'shop' | 'outside';

@Entity('accounts')
@Unique('accounts_user_id_currency_key', ['userId', 'currency'])
@Check('accounts_kind_check', `kind IN ('user', 'shop', 'outside') AND (kind = 'user') = (user_id IS NOT NULL)`)
@Check('accounts_currency_check', `currency ~ '^[A-Z]{3}$'`)
@Check('accounts_balance_check', `kind <> 'user' OR balance >= 0`)
@Check('accounts_balance_range_check', 'balance BETWEEN -9007199254740991 AND 9007199254740991')
@Index('accounts_house_key', { synchronize: false })
@Index('accounts_by_created_at', { synchronize: false })
@Index('accounts_by_user', { synchronize: false })
export class Account {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'accounts_pkey' })
  id: string;

  @Column('text')
  kind: AccountKind;

  @ForeignKey('users', { name: 'accounts_user_id_fkey' })
  @Column('uuid', { nullable: true })
  userId: string | null;

  @Column('text')
  currency: string;

  /** The sum of its entries: the database writes it, with each entry, and lets nobody else. */
  @Column('bigint')
  balance: number;

  /** How many entries it has: the position of the last one. Written by the database too. */
  @Column('bigint')
  entries: number;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  /** Set when its owner was erased: no money comes or goes any more. */
  @Column('timestamp with time zone', { precision: 3, nullable: true })
  closedAt: Date | null;

  static open(kind: AccountKind, userId: string | null, currency: string): Account {
    return Object.assign(new Account(), {
      id: uuid(),
      kind,
      userId,
      currency,
      balance: 0,
      entries: 0,
      createdAt: new Date(),
      closedAt: null,
    });
  }

  /** @throws InsufficientFunds, AmountOutOfRange where the account could not take this */
  assertTakes(amount: number): void {
    const balance = this.balance + amount;
    if (this.kind === 'user' && balance < 0) throw new InsufficientFunds(this.balance, -amount);
    // Both are safe integers, so a sum that is none has left the range and not merely been rounded.
    if (!Number.isSafeInteger(balance)) throw new AmountOutOfRange();
  }
}
