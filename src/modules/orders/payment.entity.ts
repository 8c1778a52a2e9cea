import { Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';

/** Money that was paid for an order, or, where the amount is negative, given back. */
@Entity('payments')
@Unique('payments_transfer_id_key', ['transferId'])
@Index('payments_by_order', { synchronize: false })
export class Payment {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'payments_pkey' })
  id: string;

  @ForeignKey('orders', { name: 'payments_order_id_fkey' })
  @Column('uuid')
  orderId: string;

  @ForeignKey('transfers', { name: 'payments_transfer_id_fkey' })
  @Column('uuid')
  transferId: string;

  @Column('bigint')
  amount: number;

  @Column('text')
  currency: string;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  static of(given: Omit<Payment, 'id' | 'createdAt'>): Payment {
    return Object.assign(new Payment(), { ...given, id: uuid(), createdAt: new Date() });
  }
}
