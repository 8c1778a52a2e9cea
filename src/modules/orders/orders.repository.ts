import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import { type ListDefinition, Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ConflictError } from '../../errors.js';
import { Order, OrderItem, type OrderStatus } from './order.entity.js';
import { Payment } from './payment.entity.js';
import { Shipment } from './shipment.entity.js';
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

const LIST: ListDefinition<Order> = {
  name: 'orders',
  sortKeys: {
    createdAt: { sql: 'order.createdAt', type: 'timestamptz', of: (order) => order.createdAt },
    updatedAt: { sql: 'order.updatedAt', type: 'timestamptz', of: (order) => order.updatedAt },
    total: { sql: 'order.total', type: 'bigint', of: (order) => order.total },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

/** An order always comes with its items. */
@Injectable()
export class OrdersRepository extends Repository<Order> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Order, { orders_user_is_living: () => new ConflictError('The user has been erased') });
  }

  override async findById(id: string): Promise<Order | null> {
    return this.withItems(await super.findById(id));
  }

  override async lockById(id: string): Promise<Order | null> {
    return this.withItems(await super.lockById(id));
  }

  override async create(order: Order): Promise<Order> {
    const { items, ...row } = order;
    await super.create(row as Order);
    await (await this.manager()).insert(OrderItem, items);
    return order;
  }

  async findPage(filters: OrderFilters, request: PageRequest, caller: string): Promise<Page<Order>> {
    const query = (await this.manager()).createQueryBuilder(Order, 'order');
    const { status, userId, currency, minTotal, maxTotal, createdFrom, createdTo } = filters;
    if (status !== undefined) query.andWhere('order.status = :status', { status });
    if (userId !== undefined) query.andWhere('order.userId = :userId', { userId });
    if (currency !== undefined) query.andWhere('order.currency = :currency', { currency });
    if (minTotal !== undefined) query.andWhere('order.total >= :minTotal', { minTotal });
    if (maxTotal !== undefined) query.andWhere('order.total <= :maxTotal', { maxTotal });
    if (createdFrom !== undefined) query.andWhere('order.createdAt >= :createdFrom', { createdFrom });
    if (createdTo !== undefined) query.andWhere('order.createdAt < :createdTo', { createdTo });
    const page = await this.pager.page(query, LIST, request, [filters, caller]);
    await this.loadItems(page.items);
    return page;
  }

  /** Locked in the order of their ids. */
  async lockOfUser(userId: string, statuses: readonly OrderStatus[]): Promise<Order[]> {
    const orders = await (
      await this.manager()
    )
      .createQueryBuilder(Order, 'order')
      .where('order.userId = :userId AND order.status IN (:...statuses)', { userId, statuses })
      .orderBy('order.id')
      .setLock('for_no_key_update')
      .getMany();
    await this.loadItems(orders);
    return orders;
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
