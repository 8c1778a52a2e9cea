import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';
import { ValidationError } from '../../errors.js';
import { InsufficientStock } from './catalogue.errors.js';

export const PRODUCT_STATUSES = ['draft', 'active', 'archived'] as const;
export type ProductStatus = (typeof PRODUCT_STATUSES)[number];

/** What PostgreSQL's `integer` holds. */
export const MAX_STOCK = 2_147_483_647;

export interface NewProduct {
  sku: string;
  name: string;
  description?: string;
  price: number;
  currency: string;
  stock?: number;
  status?: ProductStatus;
}

/** The stock is not among them: it is adjusted, never set, so that no two writers undo each other. */
export type ProductChanges = Partial<Omit<NewProduct, 'stock'>>;

@Entity('products')
@Unique('products_sku_key', ['sku'])
@Check('products_price_check', 'price BETWEEN 0 AND 9007199254740991')
@Check('products_stock_check', 'stock >= 0')
@Check('products_currency_check', `currency ~ '^[A-Z]{3}$'`)
@Check('products_status_check', `status IN ('draft', 'active', 'archived')`)
@Index('products_by_created_at', { synchronize: false })
@Index('products_by_price', { synchronize: false })
@Index('products_by_name', { synchronize: false })
@Index('products_by_status_and_created_at', { synchronize: false })
@Index('products_by_status_and_price', { synchronize: false })
@Index('products_by_status_and_name', { synchronize: false })
@Index('products_by_currency', { synchronize: false })
@Index('products_by_title_words', { synchronize: false })
@Index('products_by_words', { synchronize: false })
export class Product {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'products_pkey' })
  id: string;

  @Column('text')
  sku: string;

  @Column('text')
  name: string;

  @Column('text')
  description: string;

  /** In the currency's minor unit. */
  @Column('bigint')
  price: number;

  @Column('text')
  currency: string;

  /** Raises neither `version` nor `updatedAt`: an editor's `If-Match` must not fail because somebody bought one. */
  @Column('integer')
  stock: number;

  @Column('text')
  status: ProductStatus;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  updatedAt: Date;

  @Column('integer')
  version: number;

  /** The sequence of its latest event: counts what `version` counts, and the adjustments of its stock. */
  @Column('integer')
  sequence: number;
  /** The words of the name and the sku, for searching: kept by the database. */
  @Column({ type: 'tsvector', insert: false, update: false, select: false })
  titleWords?: never;

  /** Those and the description's. */
  @Column({ type: 'tsvector', insert: false, update: false, select: false })
  words?: never;

  static offer({ sku, name, description = '', price, currency, stock = 0, status = 'draft' }: NewProduct): Product {
    const now = new Date();
    return Object.assign(new Product(), {
      id: uuid(),
      sku,
      name,
      description,
      price,
      currency,
      stock,
      status,
      createdAt: now,
      updatedAt: now,
      version: 1,
      sequence: 1,
    });
  }

  /** Whether everybody may see and order it. */
  get isOnSale(): boolean {
    return this.status === 'active';
  }

  /** Takes over what is given and keeps the rest. */
  revise(changes: ProductChanges): void {
    this.sku = changes.sku ?? this.sku;
    this.name = changes.name ?? this.name;
    this.description = changes.description ?? this.description;
    this.price = changes.price ?? this.price;
    this.currency = changes.currency ?? this.currency;
    this.status = changes.status ?? this.status;
    this.touch();
  }

  archive(): void {
    this.status = 'archived';
    this.touch();
  }

  /** Its last version is the one in which it is gone, so that the event of it comes after all others. */
  discontinue(): void {
    this.touch();
  }

  /** By hand. @throws InsufficientStock, ValidationError */
  adjustStock(delta: number): void {
    if (this.stock + delta < 0) {
      throw new InsufficientStock([{ productId: this.id, sku: this.sku, requested: -delta, available: this.stock }]);
    }
    if (this.stock + delta > MAX_STOCK) throw ValidationError.of('delta', `must not bring the stock over ${MAX_STOCK}`);
    this.stock += delta;
    this.sequence += 1;
  }

  /** Never refuses: a full warehouse must not keep an order from being cancelled. */
  putBack(quantity: number): void {
    this.stock = Math.min(this.stock + quantity, MAX_STOCK);
  }

  private touch(): void {
    this.version += 1;
    this.sequence += 1;
    this.updatedAt = new Date();
  }
}
