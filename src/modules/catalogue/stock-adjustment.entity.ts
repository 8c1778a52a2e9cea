import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuid } from 'uuid';
import { Product } from './product.entity.js';

/** Who changed a stock by hand, by how much, and why. Only ever added to. */
@Entity('stock_adjustments')
@Index('stock_adjustments_by_product', { synchronize: false })
export class StockAdjustment {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'stock_adjustments_pkey' })
  id: string;

  @ForeignKey(() => Product, { name: 'stock_adjustments_product_id_fkey', onDelete: 'CASCADE' })
  @Column('uuid')
  productId: string;

  @Column('integer')
  delta: number;

  @Column('text')
  reason: string;

  /** By its name: the entity is the users module's own. */
  @ForeignKey('User', { name: 'stock_adjustments_created_by_fkey' })
  @Column('uuid')
  createdBy: string;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  static record(given: { productId: string; delta: number; reason: string; createdBy: string }): StockAdjustment {
    return Object.assign(new StockAdjustment(), { ...given, id: uuid(), createdAt: new Date() });
  }
}
