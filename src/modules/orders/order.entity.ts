import { randomInt } from 'node:crypto';
import {
  Check,
  Column,
  Entity,
  ForeignKey,
  Index,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  JoinColumn,
  type Relation,
  Unique,
} from 'typeorm';
import { v7 as uuid } from 'uuid';
import {
  CurrenciesDiffer,
  InvalidTransition,
  OrderNotPending,
  RefundTooLarge,
  TotalOutOfRange,
} from './orders.errors.js';

export const ORDER_STATUSES = ['pending', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

/** Where an order may go from where it is. */
export const TRANSITIONS = {
  pending: ['paid', 'cancelled'],
  paid: ['shipped', 'cancelled', 'refunded'],
  shipped: ['delivered', 'refunded'],
  delivered: ['refunded'],
  cancelled: [],
  refunded: [],
} as const satisfies Record<OrderStatus, readonly OrderStatus[]>;

/** What is ordered, with the name and price of that moment. */
export interface OrderLine {
  productId: string;
  sku: string;
  name: string;
  quantity: number;
  unitPrice: number;
  currency: string;
}

export interface OrderExtras {
  note?: string | undefined;
  metadata?: Record<string, string> | undefined;
}

@Entity('orders')
@Unique('orders_number_key', ['number'])
@Check('orders_status_check', `status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded')`)
@Check('orders_currency_check', `currency ~ '^[A-Z]{3}$'`)
@Check('orders_total_check', 'total BETWEEN 0 AND 9007199254740991')
@Index('orders_by_created_at', { synchronize: false })
@Index('orders_by_updated_at', { synchronize: false })
@Index('orders_by_total', { synchronize: false })
@Index('orders_by_user_and_created_at', { synchronize: false })
@Index('orders_by_user_and_updated_at', { synchronize: false })
@Index('orders_by_user_and_total', { synchronize: false })
@Index('orders_by_status', { synchronize: false })
@Index('orders_by_currency', { synchronize: false })
@Index('orders_to_expire', { synchronize: false })
export class Order {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'orders_pkey' })
  id: string;

  @Column('text')
  number: string;

  @ForeignKey('users', { name: 'orders_user_id_fkey' })
  @Column('uuid')
  userId: string;

  @Column('text')
  status: OrderStatus;

  @Column('text')
  currency: string;

  @Column('bigint')
  total: number;

  @Column('text', { nullable: true })
  note: string | null;

  @Column('jsonb')
  metadata: Record<string, string>;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  updatedAt: Date;

  /** When a pending order is given up. */
  @Column('timestamp with time zone', { precision: 3 })
  expiresAt: Date;

  @Column('integer')
  version: number;

  @OneToMany(() => OrderItem, (item) => item.order)
  items: Relation<OrderItem[]>;

  /**
   * @param ttl how long it waits for its payment, in seconds
   * @throws CurrenciesDiffer, TotalOutOfRange
   */
  static place(userId: string, lines: readonly OrderLine[], { note, metadata = {} }: OrderExtras, ttl: number): Order {
    const currency = lines[0]?.currency ?? '';
    if (lines.some((line) => line.currency !== currency))
      throw new CurrenciesDiffer(lines.map((line) => line.currency));
    const now = new Date();
    const order = Object.assign(new Order(), {
      id: uuid(),
      number: orderNumber(),
      userId,
      status: 'pending' as const,
      currency,
      note: note ?? null,
      metadata,
      createdAt: now,
      updatedAt: now,
      expiresAt: new Date(now.getTime() + ttl * 1000),
      version: 1,
    });
    order.items = lines.map((line, position) => OrderItem.of(order.id, position, line));
    order.total = sum(order.items);
    return order;
  }

  /** @throws OrderNotPending once it is on its way */
  annotate({ note, metadata }: OrderExtras): void {
    if (this.status !== 'pending') throw new OrderNotPending(this.status);
    if (note !== undefined) this.note = note;
    if (metadata !== undefined) this.metadata = metadata;
    this.touch();
  }

  /** Not once its time is up, though the job that gives it up may be late. @throws InvalidTransition */
  pay(now = new Date()): void {
    if (this.isOverdue(now)) throw new InvalidTransition(this.status, 'paid', ['cancelled']);
    this.become('paid');
  }

  ship(): void {
    this.become('shipped');
  }

  deliver(): void {
    this.become('delivered');
  }

  cancel(): void {
    this.become('cancelled');
  }

  /**
   * Gives back some of what was paid. It is refunded once nothing is left of that.
   *
   * @throws InvalidTransition, RefundTooLarge
   */
  refund(amount: number, left: number): void {
    this.assertMayBecome('refunded');
    if (amount > left) throw new RefundTooLarge(left);
    if (amount === left) this.become('refunded');
    else this.touch();
  }

  /** What is left of it where its user is erased: nothing that they wrote on it, and no claim on what was not paid for. */
  erase(): void {
    this.note = null;
    this.metadata = {};
    if (this.status === 'pending') this.become('cancelled');
    else this.touch();
  }

  isOverdue(now: Date): boolean {
    return this.status === 'pending' && this.expiresAt <= now;
  }

  private become(status: OrderStatus): void {
    this.assertMayBecome(status);
    this.status = status;
    this.touch();
  }

  private assertMayBecome(status: OrderStatus): void {
    const allowed: readonly OrderStatus[] = TRANSITIONS[this.status];
    if (!allowed.includes(status)) throw new InvalidTransition(this.status, status, allowed);
  }

  private touch(): void {
    this.updatedAt = new Date();
    this.version += 1;
  }
}

@Entity('order_items')
@Unique('order_items_order_id_position_key', ['orderId', 'position'])
@Check('order_items_quantity_check', 'quantity > 0')
@Check('order_items_total_check', 'total = unit_price * quantity')
@Index('order_items_by_product', { synchronize: false })
export class OrderItem {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'order_items_pkey' })
  id: string;

  @Column('uuid')
  orderId: string;

  @ManyToOne(() => Order, (order) => order.items)
  @JoinColumn({ name: 'order_id', foreignKeyConstraintName: 'order_items_order_id_fkey' })
  order: Relation<Order>;

  @Column('smallint')
  position: number;

  @ForeignKey('products', { name: 'order_items_product_id_fkey' })
  @Column('uuid')
  productId: string;

  @Column('text')
  sku: string;

  @Column('text')
  name: string;

  @Column('integer')
  quantity: number;

  @Column('bigint')
  unitPrice: number;

  @Column('bigint')
  total: number;

  static of(orderId: string, position: number, { productId, sku, name, quantity, unitPrice }: OrderLine): OrderItem {
    const total = unitPrice * quantity;
    if (!Number.isSafeInteger(total)) throw new TotalOutOfRange();
    return Object.assign(new OrderItem(), {
      id: uuid(),
      orderId,
      position,
      productId,
      sku,
      name,
      quantity,
      unitPrice,
      total,
    });
  }
}

/** @throws TotalOutOfRange where the sum is past 2^53 − 1 */
function sum(items: readonly { total: number }[]): number {
  return items.reduce((total, item) => {
    if (!Number.isSafeInteger(total + item.total)) throw new TotalOutOfRange();
    return total + item.total;
  }, 0);
}

/** Crockford's base 32: no letter that is taken for a digit. https://www.crockford.com/base32.html */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Short enough to read out, and drawn by lot, so that it tells nobody how much is sold. */
function orderNumber(): string {
  const characters = Array.from({ length: 10 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return `${characters.slice(0, 5)}-${characters.slice(5)}`;
}
