import {
  Check,
  Column,
  Entity,
  ForeignKey,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  type Relation,
  Unique,
} from 'typeorm';
import { v7 as uuid } from 'uuid';

export type TransferKind = 'transfer' | 'deposit' | 'payment' | 'refund';

/** Money that went from one account to another. Never changed, never deleted. */
@Entity('transfers')
@Check('transfers_kind_check', `kind IN ('transfer', 'deposit', 'payment', 'refund')`)
@Check('transfers_amount_check', 'amount BETWEEN 0 AND 9007199254740991')
@Check('transfers_accounts_check', 'from_account_id <> to_account_id')
export class Transfer {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'transfers_pkey' })
  id: string;

  @Column('text')
  kind: TransferKind;

  @ForeignKey('accounts', { name: 'transfers_from_account_id_fkey' })
  @Column('uuid')
  fromAccountId: string;

  @ForeignKey('accounts', { name: 'transfers_to_account_id_fkey' })
  @Column('uuid')
  toAccountId: string;

  @Column('bigint')
  amount: number;

  @Column('text')
  currency: string;

  @Column('text', { nullable: true })
  note: string | null;

  @ForeignKey('users', { name: 'transfers_created_by_fkey' })
  @Column('uuid', { nullable: true })
  createdBy: string | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  static of(given: Omit<Transfer, 'id' | 'createdAt'>): Transfer {
    return Object.assign(new Transfer(), { ...given, id: uuid(), createdAt: new Date() });
  }
}

/** One side of a transfer. The entries of a transfer sum to zero; those of an account, to its balance. */
@Entity('ledger_entries')
@Unique('ledger_entries_transfer_id_account_id_key', ['transferId', 'accountId'])
@Unique('ledger_entries_account_id_position_key', ['accountId', 'position'])
export class LedgerEntry {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'ledger_entries_pkey' })
  id: string;

  @Column('uuid')
  transferId: string;

  @ManyToOne(() => Transfer)
  @JoinColumn({ name: 'transfer_id', foreignKeyConstraintName: 'ledger_entries_transfer_id_fkey' })
  transfer: Relation<Transfer>;

  @ForeignKey('accounts', { name: 'ledger_entries_account_id_fkey' })
  @Column('uuid')
  accountId: string;

  /** 1 for the first of its account, and so on without a gap. Given by the database, as the balance is. */
  @Column('bigint')
  position: number;

  @Column('bigint')
  amount: number;

  @Column('bigint')
  balanceAfter: number;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;
}
