import { Injectable } from '@nestjs/common';
import { Config } from '../../config.js';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { assertMay, may, type Principal } from '../../permissions.js';
import { anyVersion, type VersionCheck } from '../../versions.js';
import { CatalogueService } from '../catalogue/index.js';
import { type UserName, UsersService } from '../users/index.js';
import { OrderJournal } from './order-journal.js';
import { Order, type OrderExtras } from './order.entity.js';
import { OrderNotFound } from './orders.errors.js';
import { type OrderFilters, OrdersRepository, StatusChangesRepository } from './orders.repository.js';
import type { StatusChange } from './status-change.entity.js';

export interface PlaceOrder extends OrderExtras {
  items: { productId: string; quantity: number }[];
}

/** Places orders and tells of them. */
@Injectable()
export class OrdersService {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly changes: StatusChangesRepository,
    private readonly journal: OrderJournal,
    private readonly catalogue: CatalogueService,
    private readonly users: UsersService,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {}

  /**
   * Takes stock and records the order, its history and its event: all or nothing.
   *
   * @param by who places it, where that is not the user themselves
   * @throws ValidationError, InsufficientStock, CurrenciesDiffer
   */
  place(userId: string, { items, note, metadata }: PlaceOrder, by = userId): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const lines = await this.catalogue.take(items);
      const order = Order.place(userId, lines, { note, metadata }, this.config.orderTtl);
      await this.journal.add(order, { by });
      return order;
    });
  }

  /** For another, where the role permits it. @throws UserNotFound, ForbiddenError, and what `place` throws */
  async placeFor(userId: string, order: PlaceOrder, by: Principal): Promise<Order> {
    await this.users.get(userId, by);
    assertMay(by, 'write', userId);
    return this.place(userId, order, by.id);
  }

  /** @throws OrderNotFound, ForbiddenError */
  async get(id: string, by: Principal): Promise<Order> {
    const order = await this.orders.findById(id);
    if (order === null) throw new OrderNotFound();
    assertMay(by, 'read', order.userId);
    return order;
  }

  /** One's own; everybody's for those who may read them. @throws ForbiddenError */
  async list(filters: OrderFilters, page: PageRequest, by: Principal): Promise<Page<Order>> {
    if (may(by, 'read')) return this.orders.findPage(filters, page, by.id);
    if (filters.userId !== undefined && filters.userId !== by.id)
      throw new ForbiddenError('You may list your own orders only');
    return this.orders.findPage({ ...filters, userId: by.id }, page, by.id);
  }

  /** @throws UserNotFound, ForbiddenError */
  async listOf(userId: string, filters: OrderFilters, page: PageRequest, by: Principal): Promise<Page<Order>> {
    await this.users.get(userId, by);
    if (filters.userId !== undefined && filters.userId !== userId) {
      if (!may(by, 'read')) throw new ForbiddenError('You may list your own orders only');
      throw ValidationError.of('userId', 'must be the one in the path, or be left out');
    }
    return this.orders.findPage({ ...filters, userId }, page, by.id);
  }

  /** Who placed these orders, by their id: for those who may read of everybody. @throws ForbiddenError */
  async buyersOf(orders: readonly Order[], by: Principal): Promise<Map<string, UserName>> {
    if (!may(by, 'read')) throw new ForbiddenError('Only moderators may include the user');
    return this.users.names([...new Set(orders.map(({ userId }) => userId))]);
  }

  /** Every change of status, the oldest first. @throws OrderNotFound, ForbiddenError */
  async history(id: string, page: PageRequest, by: Principal): Promise<Page<StatusChange>> {
    await this.get(id, by);
    return this.changes.findPage(id, page, by.id);
  }

  /** Changes what is said about a pending order. @throws OrderNotFound, ForbiddenError, StaleVersion, OrderNotPending */
  update(id: string, extras: OrderExtras, by: Principal, check: VersionCheck = anyVersion): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const order = await this.journal.lock(id);
      assertMay(by, 'write', order.userId);
      check(order.version);
      await this.journal.change(order, { by: by.id }, () => {
        order.annotate(extras);
      });
      return order;
    });
  }
}
