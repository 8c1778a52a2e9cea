import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError } from '../../errors.js';
import type { Principal } from '../../permissions.js';
import { LedgerService } from '../ledger/index.js';
import { OrderJournal } from './order-journal.js';
import type { Order } from './order.entity.js';
import { PaymentsRepository } from './orders.repository.js';
import { Payment } from './payment.entity.js';

/** The money of orders: what was paid for them, and what was given back. */
@Injectable()
export class PaymentsService {
  constructor(
    private readonly journal: OrderJournal,
    private readonly payments: PaymentsRepository,
    private readonly ledger: LedgerService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * Moves the money, records the payment and makes the order paid: all or nothing.
   *
   * @throws OrderNotFound, ForbiddenError, InvalidTransition, InsufficientFunds, CurrencyMismatch, ValidationError
   */
  pay(orderId: string, accountId: string, by: Principal): Promise<Payment> {
    return this.unitOfWork.run(async () => {
      const order = await this.journal.lock(orderId);
      if (order.userId !== by.id) throw new ForbiddenError('Only its owner can pay an order');
      return this.journal.change(order, { by: by.id }, async () => {
        order.pay();
        const { total: amount, currency } = order;
        const { id: transferId } = await this.ledger.pay({ accountId, amount, currency }, by);
        return this.payments.create(Payment.of({ orderId, transferId, amount, currency }));
      });
    });
  }

  /**
   * Gives back a part of what was paid, or all that is left of it: all or nothing.
   *
   * @throws OrderNotFound, InvalidTransition, RefundTooLarge, AccountClosed
   */
  refund(orderId: string, given: { amount?: number; reason?: string }, by: Principal): Promise<Payment> {
    return this.unitOfWork.run(async () => {
      const order = await this.journal.lock(orderId);
      const { payment, left } = await this.accountOf(order);
      const { amount = left, reason } = given;
      return this.journal.change(order, { by: by.id, reason }, () => {
        order.refund(amount, left);
        if (payment === undefined) throw new Error(`Order ${order.number} is paid without a payment`);
        return this.giveBack(payment, amount, reason, by);
      });
    });
  }

  /** For a paid order that is given up, in the same unit of work. @throws AccountClosed */
  async refundRest(order: Order, reason: string | undefined, by: Principal): Promise<void> {
    const { payment, left } = await this.accountOf(order);
    if (payment !== undefined && left > 0) await this.giveBack(payment, left, reason, by);
  }

  /** What was paid for an order that is locked, and how much of it has not been given back. */
  private async accountOf(order: Order): Promise<{ payment: Payment | undefined; left: number }> {
    const payments = await this.payments.findOfOrder(order.id);
    return { payment: payments[0], left: payments.reduce((left, { amount }) => left + amount, 0) };
  }

  private async giveBack(
    payment: Payment,
    amount: number,
    reason: string | undefined,
    by: Principal,
  ): Promise<Payment> {
    const { orderId, currency } = payment;
    const transfer = await this.ledger.refund({ paymentId: payment.transferId, amount, note: reason }, by);
    return this.payments.create(Payment.of({ orderId, transferId: transfer.id, amount: -amount, currency }));
  }
}
