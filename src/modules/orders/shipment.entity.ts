import { Column, Entity, ForeignKey, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';

/** How an order went out. */
@Entity('shipments')
@Unique('shipments_order_id_key', ['orderId'])
export class Shipment {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'shipments_pkey' })
  id: string;

  @ForeignKey('orders', { name: 'shipments_order_id_fkey' })
  @Column('uuid')
  orderId: string;

  @Column('text', { nullable: true })
  carrier: string | null;

  @Column('text', { nullable: true })
  trackingNumber: string | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  static of(given: Omit<Shipment, 'id' | 'createdAt'>): Shipment {
    return Object.assign(new Shipment(), { ...given, id: uuid(), createdAt: new Date() });
  }
}
