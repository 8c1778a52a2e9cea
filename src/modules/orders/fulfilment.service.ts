import { Injectable, type OnModuleInit } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError } from '../../errors.js';
import { assertMay, may, type Principal } from '../../permissions.js';
import { CatalogueService } from '../catalogue/index.js';
import { LedgerService } from '../ledger/index.js';
import { UsersService } from '../users/index.js';
import { OrderJournal } from './order-journal.js';
import type { Order, OrderStatus } from './order.entity.js';
import { OrdersUndelivered } from './orders.errors.js';
import { OrdersRepository, ShipmentsRepository } from './orders.repository.js';
import { PaymentsService } from './payments.service.js';
import { Shipment } from './shipment.entity.js';

/** What keeps a user, or is cancelled before one is erased. */
const OPEN: readonly OrderStatus[] = ['pending', 'paid', 'shipped'];

/** What becomes of an order once it is placed: it goes out, or it is given up. */
@Injectable()
export class FulfilmentService implements OnModuleInit {
  constructor(
    private readonly journal: OrderJournal,
    private readonly orders: OrdersRepository,
    private readonly shipments: ShipmentsRepository,
    private readonly payments: PaymentsService,
    private readonly catalogue: CatalogueService,
    private readonly ledger: LedgerService,
    private readonly users: UsersService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  onModuleInit(): void {
    this.users.onErasure({
      release: (userId, by) => this.release(userId, by),
      isReleased: (userId) => this.isReleased(userId),
    });
  }

  /**
   * Puts the stock back, and the money where it was paid: all or nothing.
   *
   * @throws OrderNotFound, ForbiddenError, InvalidTransition, AccountClosed
   */
  cancel(id: string, reason: string | undefined, by: Principal): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const order = await this.journal.lock(id);
      assertMay(by, 'write', order.userId);
      const wasPaid = order.status === 'paid';
      if (wasPaid && !may(by, 'write')) throw new ForbiddenError('Ask the shop to cancel an order that is paid');
      await this.journal.change(order, { by: by.id, reason }, async () => {
        order.cancel();
        await this.catalogue.putBack(order.items);
        if (wasPaid) await this.payments.refundRest(order, reason, by);
      });
      return order;
    });
  }

  /** @throws OrderNotFound, InvalidTransition */
  ship(id: string, given: { carrier?: string; trackingNumber?: string }, by: Principal): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const order = await this.journal.lock(id);
      await this.journal.change(order, { by: by.id }, () => {
        order.ship();
      });
      const { carrier = null, trackingNumber = null } = given;
      await this.shipments.create(Shipment.of({ orderId: id, carrier, trackingNumber }));
      return order;
    });
  }

  /** @throws OrderNotFound, InvalidTransition */
  deliver(id: string, by: Principal): Promise<Order> {
    return this.unitOfWork.run(async () => {
      const order = await this.journal.lock(id);
      await this.journal.change(order, { by: by.id }, () => {
        order.deliver();
      });
      return order;
    });
  }

  /**
   * Gives up an order that was not paid in time.
   *
   * @returns whether this call did: not where it is paid after all, or where another is busy with it
   */
  expire(id: string, now: Date): Promise<boolean> {
    return this.unitOfWork.run(async () => {
      const order = await this.orders.lockIfFree(id);
      if (order?.isOverdue(now) !== true) return false;
      await this.journal.change(order, { by: null, reason: 'Not paid in time' }, async () => {
        order.cancel();
        await this.catalogue.putBack(order.items);
      });
      return true;
    });
  }

  /**
   * Before a user is erased: what they have not paid for is cancelled, and what they wrote on their orders is blanked;
   * money that they hold and orders that they still have coming keep them.
   *
   * @throws OrdersUndelivered, AccountNotEmpty
   */
  private async release(userId: string, by: Principal): Promise<void> {
    // Orders, then products, then accounts: the order in which everybody locks.
    const orders = await this.orders.lockOfUser(userId, OPEN);
    const open = orders.filter(({ status }) => OPEN.includes(status));
    if (open.some(({ status }) => status !== 'pending')) throw new OrdersUndelivered();
    await this.catalogue.putBack(open.flatMap(({ items }) => items));
    await this.ledger.close(userId);
    // Before the orders are cancelled for a reason that is not theirs.
    await this.journal.forgetReasons(userId);
    for (const order of orders) {
      await this.journal.change(order, { by: by.id, reason: 'The user was erased' }, () => {
        order.erase();
      });
    }
    await this.journal.redact(userId);
  }

  private async isReleased(userId: string): Promise<boolean> {
    return !(await this.orders.hasAny(userId, OPEN)) && (await this.ledger.isClosed(userId));
  }
}
