import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { NIL } from 'uuid';
import { Gather } from '../../database/gather.js';
import { jsonObject, jsonOrNull, jsonPlain, jsonText, jsonTime } from '../../database/json-view.js';
import { isFirst, isPlain, type ListDefinition, Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { RememberedLists, Select } from '../../database/select.js';
import { STAMP } from '../../database/stamp.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ConflictError } from '../../errors.js';
import { Order, OrderItem, type OrderStatus } from './order.entity.js';
import { Payment } from './payment.entity.js';
import { Shipment } from './shipment.entity.js';
import { type ShownOrder, ShownOrders, type ShownRow, toShown } from './shown-orders.js';
import { StatusChange } from './status-change.entity.js';

export interface OrderFilters {
  status?: OrderStatus;
  userId?: string;
  currency?: string;
  minTotal?: number;
  maxTotal?: number;
  createdFrom?: Date;
  createdTo?: Date;
}

export interface Overdue {
  id: string;
  expiresAt: Date;
}

const LIST: ListDefinition<ShownOrder> = {
  name: 'orders',
  sortKeys: {
    createdAt: { sql: 'orders.created_at', type: 'timestamptz' },
    updatedAt: { sql: 'orders.updated_at', type: 'timestamptz' },
    total: { sql: 'orders.total', type: 'bigint' },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

const SHOWN_ITEM = jsonObject({
  id: jsonPlain('item.id'),
  productId: jsonPlain('product_id'),
  sku: jsonText('sku'),
  name: jsonText('name'),
  quantity: 'quantity',
  unitPrice: 'unit_price',
  total: 'item.total',
});

/** What `toOrder` makes of an order. */
const TEXT = jsonObject({
  id: jsonPlain('id'),
  number: jsonPlain('number'),
  userId: jsonPlain('user_id'),
  status: jsonPlain('status'),
  currency: jsonPlain('currency'),
  total: 'total',
  // In the order of the index that they are found by: `string_agg(… ORDER BY …)` would sort them once more.
  items: `'[' || coalesce((
    SELECT string_agg(text, ',') FROM (
      SELECT ${SHOWN_ITEM} AS text FROM order_items AS item WHERE order_id = orders.id ORDER BY position) AS items), '') || ']'`,
  note: jsonOrNull(jsonText('note')),
  metadata: 'metadata',
  createdAt: jsonTime('created_at'),
  updatedAt: jsonTime('updated_at'),
  expiresAt: jsonOrNull(`CASE WHEN status = 'pending' THEN ${jsonTime('expires_at')} END`),
  version: 'version',
});

const ID_AND_STAMP = `id || '@' || ${STAMP}`;

const SHOWN = `id, user_id AS "userId", version, ${TEXT} AS text`;

/** An order that is locked comes with its items, to be changed; one that is shown, as its text. */
@Injectable()
export class OrdersRepository extends Repository<Order> {
  private readonly reads = new Gather<ShownOrder>((ids) => this.read(ids));
  private readonly shown = new ShownOrders();
  private readonly lists = new RememberedLists<ShownRow, ShownOrder>(ID_AND_STAMP);

  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Order, { orders_user_is_living: () => new ConflictError('The user has been erased') });
  }

  /** Orders that are asked for at the same time are read by one statement. */
  async findShown(id: string): Promise<ShownOrder | undefined> {
    return this.reads.of(id);
  }

  override async lockById(id: string): Promise<Order | null> {
    return this.withItems(await super.lockById(id));
  }

  /** Writes new orders with their items, all in one statement: so many cost hardly more than one. */
  async createAll(orders: readonly Order[]): Promise<void> {
    if (orders.length === 0) return;
    await this.send(
      'create orders',
      `WITH placed AS (
         INSERT INTO orders (id, number, user_id, status, currency, total, note, metadata, created_at, updated_at,
                             expires_at, version)
         SELECT id, number, "userId", status, currency, total, note, metadata, "createdAt", "updatedAt",
                "expiresAt", version
           FROM json_to_recordset($1) AS given
             (id uuid, number text, "userId" uuid, status text, currency text, total bigint, note text, metadata jsonb,
              "createdAt" timestamptz, "updatedAt" timestamptz, "expiresAt" timestamptz, version integer)
       )
       INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
       SELECT id, "orderId", position, "productId", sku, name, quantity, "unitPrice", total
         FROM json_to_recordset($2) AS given
           (id uuid, "orderId" uuid, position smallint, "productId" uuid, sku text, name text, quantity integer,
            "unitPrice" bigint, total bigint)`,
      [JSON.stringify(orders.map(({ items: _, ...row }) => row)), JSON.stringify(orders.flatMap(({ items }) => items))],
    );
  }

  async findPage(filters: OrderFilters, request: PageRequest, caller: string): Promise<Page<ShownOrder>> {
    const { userId, status, currency, minTotal, maxTotal, createdFrom, createdTo } = filters;
    const isOften = hasOnePlan(filters, request);
    const query = new Select<ShownRow, ShownOrder>(
      (sql, values) => (isOften ? this.preparedAs(sql, values) : this.query(sql, values)),
      SHOWN,
      'orders',
      toShown,
    );
    if (isOften && isFirst(request)) query.remember(JSON.stringify([filters, request]), this.lists);
    if (status !== undefined) query.andWhere('status = :status', { status });
    if (userId !== undefined) query.andWhere('user_id = :userId', { userId });
    if (currency !== undefined) query.andWhere('currency = :currency', { currency });
    if (minTotal !== undefined) query.andWhere('total >= :minTotal', { minTotal });
    if (maxTotal !== undefined) query.andWhere('total <= :maxTotal', { maxTotal });
    if (createdFrom !== undefined) query.andWhere('created_at >= :createdFrom', { createdFrom });
    if (createdTo !== undefined) query.andWhere('created_at < :createdTo', { createdTo });
    return this.pager.page(query, LIST, request, [filters, caller]);
  }

  async hasAny(userId: string, statuses: readonly OrderStatus[]): Promise<boolean> {
    return (await this.count({ userId, status: In([...statuses]) })) > 0;
  }

  /** Those of a user that are in such a state, or bear what the user wrote; locked in the order of their ids. */
  async lockOfUser(userId: string, statuses: readonly OrderStatus[]): Promise<Order[]> {
    const orders = await (
      await this.manager()
    )
      .createQueryBuilder(Order, 'order')
      .where('order.userId = :userId', { userId })
      .andWhere(`(order.status IN (:...statuses) OR order.note IS NOT NULL OR order.metadata <> '{}')`, { statuses })
      .orderBy('order.id')
      .setLock('for_no_key_update')
      .getMany();
    await this.loadItems(orders);
    return orders;
  }

  async idsOf(userId: string): Promise<string[]> {
    const rows = await this.query<{ id: string }>('SELECT id FROM orders WHERE user_id = $1', [userId]);
    return rows.map(({ id }) => id);
  }

  /** Pending orders whose time is up, those that wait longest first, after the one that was last seen. */
  async findOverdue(now: Date, after: Overdue | undefined, limit: number): Promise<Overdue[]> {
    return this.query<Overdue>(
      `SELECT id, expires_at AS "expiresAt" FROM orders
        WHERE status = 'pending' AND expires_at <= $1 AND (expires_at, id) > ($2, $3::uuid)
        ORDER BY expires_at, id LIMIT $4`,
      [now, after?.expiresAt ?? '-infinity', after?.id ?? NIL, limit],
    );
  }

  /** The order, unless somebody else is just busy with it. */
  async lockIfFree(id: string): Promise<Order | null> {
    const order = await (
      await this.manager()
    )
      .createQueryBuilder(Order, 'order')
      .where('order.id = :id', { id })
      .setLock('for_no_key_update')
      .setOnLocked('skip_locked')
      .getOne();
    return this.withItems(order);
  }

  private async read(ids: readonly string[]): Promise<Map<string, ShownOrder>> {
    const known = this.shown.known(ids);
    const rows = await this.prepared<Omit<ShownRow, 'text'> & { stamp: string; text: string | null }>(
      'read orders',
      `SELECT id, user_id AS "userId", version, ${ID_AND_STAMP} AS stamp,
              CASE WHEN ${ID_AND_STAMP} = ANY ($1::text[]) THEN NULL ELSE ${TEXT} END AS text
         FROM orders WHERE id = ANY ($2::uuid[])`,
      [[...known.keys()], ids],
    );
    const orders = new Map<string, ShownOrder>();
    for (const { text, stamp, ...row } of rows) {
      const order = text === null ? known.get(stamp) : toShown({ ...row, text });
      if (order === undefined) throw new Error(`The text of ${stamp} was left out, and is not known`);
      if (text !== null) this.shown.keep(stamp, order);
      orders.set(order.id, order);
    }
    return orders;
  }

  private async withItems(order: Order | null): Promise<Order | null> {
    if (order !== null) await this.loadItems([order]);
    return order;
  }

  /** The items of all these orders in one query. */
  private async loadItems(orders: readonly Order[]): Promise<void> {
    if (orders.length === 0) return;
    const items = await (
      await this.manager()
    )
      .createQueryBuilder(OrderItem, 'item')
      .where('item.orderId IN (:...ids)', { ids: orders.map(({ id }) => id) })
      .orderBy('item.position')
      .getMany();
    for (const order of orders) order.items = items.filter(({ orderId }) => orderId === order.id);
  }
}

/** With other filters than the user the best plan differs with what they are given. */
const hasOnePlan = ({ userId: _, ...others }: OrderFilters, request: PageRequest): boolean => isPlain(request, others);

const HISTORY: ListDefinition<StatusChange> = {
  name: 'order history',
  sortKeys: { createdAt: { sql: 'change.version', type: 'bigint', of: (change) => change.version } },
  defaultSort: { by: 'createdAt', order: 'asc' },
};

@Injectable()
export class StatusChangesRepository extends Repository<StatusChange> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, StatusChange);
  }

  async createAll(changes: readonly StatusChange[]): Promise<void> {
    if (changes.length === 0) return;
    await this.send(
      'create order status changes',
      `INSERT INTO order_status_changes (id, order_id, version, from_status, to_status, changed_by, reason, created_at)
       SELECT id, "orderId", version, "fromStatus", "toStatus", "changedBy", reason, "createdAt"
         FROM json_to_recordset($1) AS given
           (id uuid, "orderId" uuid, version integer, "fromStatus" text, "toStatus" text, "changedBy" uuid, reason text,
            "createdAt" timestamptz)`,
      [JSON.stringify(changes)],
    );
  }

  /** Blanks the reasons that a user gave for what they did to their orders. */
  async blankReasons(userId: string): Promise<void> {
    await this.query(
      `UPDATE order_status_changes SET reason = NULL
        WHERE order_id IN (SELECT id FROM orders WHERE user_id = $1) AND changed_by = $1 AND reason IS NOT NULL`,
      [userId],
    );
  }

  async findPage(orderId: string, request: PageRequest, caller: string): Promise<Page<StatusChange>> {
    const query = (await this.manager())
      .createQueryBuilder(StatusChange, 'change')
      .where('change.orderId = :orderId', { orderId });
    return this.pager.page(query, HISTORY, request, [orderId, caller]);
  }
}

@Injectable()
export class ShipmentsRepository extends Repository<Shipment> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Shipment);
  }
}

@Injectable()
export class PaymentsRepository extends Repository<Payment> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Payment);
  }

  /** The payment first, then what was given back of it. */
  findOfOrder(orderId: string): Promise<Payment[]> {
    return this.findMany({ where: { orderId }, order: { amount: 'DESC', id: 'ASC' } });
  }
}
