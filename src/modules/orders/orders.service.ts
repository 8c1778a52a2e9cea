import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Config } from '../../config.js';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ConflictError, ForbiddenError } from '../../errors.js';
import { assertMay, may, type Principal } from '../../permissions.js';
import { anyVersion, type VersionCheck } from '../../versions.js';
import { CatalogueService } from '../catalogue/index.js';
import { EventsService, type EventType } from '../events/index.js';
import { LedgerService } from '../ledger/index.js';
import { UsersService } from '../users/index.js';
import { Order, type OrderExtras } from './order.entity.js';
import { toOrder } from './orders.dto.js';
import { OrderNotFound } from './orders.errors.js';
import { type OrderFilters, OrdersRepository, PaymentsRepository } from './orders.repository.js';
import { Payment } from './payment.entity.js';

export interface PlaceOrder extends OrderExtras {
  items: { productId: string; quantity: number }[];
}

@Injectable()
export class OrdersService implements OnModuleInit {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly payments: PaymentsRepository,
    private readonly catalogue: CatalogueService,
    private readonly ledger: LedgerService,
    private readonly users: UsersService,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.users.onErasure((userId) => this.release(userId));
  }

  /**
   * Takes stock and records the order and its event: all or nothing.
   *
   * @throws ValidationError, InsufficientStock, CurrenciesDiffer
   */
  place(userId: string, { items, note, metadata }: PlaceOrder): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const lines = await this.catalogue.take(items);
      const order = await this.orders.create(Order.place(userId, lines, { note, metadata }, this.config.orderTtl));
      await this.events.record('order.created', order, toOrder(order));
      return order;
    });
  }

  /** For another, where the role permits it. @throws UserNotFound, ForbiddenError, and what `place` throws */
  async placeFor(userId: string, order: PlaceOrder, by: Principal): Promise<Order> {
    await this.users.get(userId, by);
    return this.place(userId, order);
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
    return this.orders.findPage({ ...filters, userId }, page, by.id);
  }

  /** Changes what is said about a pending order. @throws OrderNotFound, ForbiddenError, StaleVersion, OrderNotPending */
  update(id: string, extras: OrderExtras, by: Principal, check: VersionCheck = anyVersion): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const order = await this.lock(id);
      assertMay(by, 'write', order.userId);
      check(order.version);
      order.annotate(extras);
      await this.save(order, 'order.updated');
      return order;
    });
  }

  /**
   * Moves the money, records the payment and makes the order paid: all or nothing.
   *
   * @throws OrderNotFound, ForbiddenError, InvalidTransition, InsufficientFunds, CurrencyMismatch, ValidationError
   */
  pay(id: string, accountId: string, by: Principal): Promise<Payment> {
    return this.unitOfWork.run(async () => {
      const order = await this.lock(id);
      if (order.userId !== by.id) throw new ForbiddenError('Only its owner can pay an order');
      order.pay();
      const { amount, id: transferId } = await this.ledger.pay(
        { accountId, amount: order.total, currency: order.currency },
        by,
      );
      await this.save(order, 'order.paid');
      return this.payments.create(Payment.of({ orderId: id, transferId, amount, currency: order.currency }));
    });
  }

  /** Before a user is erased: what they have not paid for is cancelled, what they still have coming keeps them. */
  private async release(userId: string): Promise<void> {
    if (await this.ledger.holdsMoney(userId)) throw new ConflictError('An account of theirs holds money');
    const undelivered = await this.orders.idsOfUser(userId, ['paid', 'shipped']);
    if (undelivered.length > 0) throw new ConflictError('A paid order of theirs is not delivered');
    for (const id of await this.orders.idsOfUser(userId, ['pending'])) {
      const order = await this.lock(id);
      order.cancel();
      await this.catalogue.putBack(order.items);
      await this.save(order, 'order.cancelled');
    }
  }

  private async lock(id: string): Promise<Order> {
    const order = await this.orders.lockById(id);
    if (order === null) throw new OrderNotFound();
    return order;
  }

  private async save(order: Order, event: EventType): Promise<void> {
    const { status, note, metadata, updatedAt, version } = order;
    await this.orders.update(order.id, { status, note, metadata, updatedAt, version });
    await this.events.record(event, order, toOrder(order));
  }
}
