import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';
import type { Order, OrderStatus } from './order.entity.js';

/** One line of an order's history. Only ever added to. */
@Entity('order_status_changes')
@Unique('order_status_changes_order_id_version_key', ['orderId', 'version'])
export class StatusChange {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'order_status_changes_pkey' })
  id: string;

  @ForeignKey('orders', { name: 'order_status_changes_order_id_fkey' })
  @Column('uuid')
  orderId: string;

  /** The version of the order that the change made: the order of the history, whatever the clocks say. */
  @Column('integer')
  version: number;

  /** Null for the first. */
  @Column('text', { nullable: true })
  fromStatus: OrderStatus | null;

  @Column('text')
  toStatus: OrderStatus;

  /** Null where a job did it. */
  @ForeignKey('users', { name: 'order_status_changes_changed_by_fkey' })
  @Column('uuid', { nullable: true })
  changedBy: string | null;

  @Column('text', { nullable: true })
  reason: string | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  static of(order: Order, fromStatus: OrderStatus | null, by: string | null, reason: string | null): StatusChange {
    return Object.assign(new StatusChange(), {
      id: uuid(),
      orderId: order.id,
      version: order.version,
      fromStatus,
      toStatus: order.status,
      changedBy: by,
      reason,
      createdAt: order.updatedAt,
    });
  }
}
