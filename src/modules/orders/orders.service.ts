import { Injectable } from '@nestjs/common';
import type { JsonView } from '../../database/json-view.js';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { assertMay, may, type Principal } from '../../permissions.js';
import { anyVersion, type VersionCheck } from '../../stale-version.js';
import { type UserName, UsersService } from '../users/index.js';
import { OrderJournal } from './order-journal.js';
import type { Order, OrderExtras } from './order.entity.js';
import { OrderNotFound } from './orders.errors.js';
import { type OrderFilters, OrdersRepository, StatusChangesRepository } from './orders.repository.js';
import type { ShownOrder } from './shown-orders.js';
import type { StatusChange } from './status-change.entity.js';

/** Tells of orders, and changes what is said about them. */
@Injectable()
export class OrdersService {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly changes: StatusChangesRepository,
    private readonly journal: OrderJournal,
    private readonly users: UsersService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** As the API shows it. @throws OrderNotFound, ForbiddenError */
  async show(id: string, by: Principal): Promise<JsonView> {
    const order = await this.orders.findShown(id);
    if (order === undefined) throw new OrderNotFound();
    assertMay(by, 'read', order.userId);
    return order.view;
  }

  /** One's own; everybody's for those who may read them. @throws ForbiddenError */
  async list(filters: OrderFilters, page: PageRequest, by: Principal): Promise<Page<ShownOrder>> {
    if (may(by, 'read')) return this.orders.findPage(filters, page, by.id);
    if (filters.userId !== undefined && filters.userId !== by.id)
      throw new ForbiddenError('You may list your own orders only');
    return this.orders.findPage({ ...filters, userId: by.id }, page, by.id);
  }

  /** @throws UserNotFound, ForbiddenError */
  async listOf(userId: string, filters: OrderFilters, page: PageRequest, by: Principal): Promise<Page<ShownOrder>> {
    await this.users.get(userId, by);
    if (filters.userId !== undefined && filters.userId !== userId) {
      if (!may(by, 'read')) throw new ForbiddenError('You may list your own orders only');
      throw ValidationError.of('userId', 'must be the one in the path, or be left out');
    }
    return this.orders.findPage({ ...filters, userId }, page, by.id);
  }

  /** Who placed these orders, by their id: for those who may read of everybody. @throws ForbiddenError */
  async buyersOf(orders: readonly ShownOrder[], by: Principal): Promise<Map<string, UserName>> {
    if (!may(by, 'read')) throw new ForbiddenError('Only moderators may include the user');
    return this.users.names([...new Set(orders.map(({ userId }) => userId))]);
  }

  /** Every change of status, the oldest first. @throws OrderNotFound, ForbiddenError */
  async history(id: string, page: PageRequest, by: Principal): Promise<Page<StatusChange>> {
    await this.show(id, by);
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
