import { Injectable } from '@nestjs/common';
import { type ListDefinition, Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Order, OrderItem, type OrderStatus } from './order.entity.js';
import { Payment } from './payment.entity.js';

export interface OrderFilters {
  status?: OrderStatus;
  userId?: string;
  currency?: string;
  minTotal?: number;
  maxTotal?: number;
  createdFrom?: Date;
  createdTo?: Date;
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
    super(unitOfWork, Order);
  }

  override async findById(id: string): Promise<Order | null> {
    return this.withItems(await super.findById(id));
  }

  override async lockById(id: string): Promise<Order | null> {
    return this.withItems(await super.lockById(id));
  }

  override async create(order: Order): Promise<Order> {
    const { items, ...row } = order;
    const manager = await this.manager();
    await manager.insert(Order, row);
    await manager.insert(OrderItem, items);
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

  async idsOfUser(userId: string, statuses: readonly OrderStatus[]): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      'SELECT id FROM orders WHERE user_id = $1 AND status = ANY($2) ORDER BY id',
      [userId, statuses],
    );
    return rows.map(({ id }) => id);
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

@Injectable()
export class PaymentsRepository extends Repository<Payment> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Payment);
  }
}
