import { Injectable } from '@nestjs/common';
import { EVENT_TYPES, EventsService, type EventType } from '../events/index.js';
import type { Order, OrderStatus } from './order.entity.js';
import { toOrder } from './orders.dto.js';
import { OrderNotFound } from './orders.errors.js';
import { OrdersRepository, StatusChangesRepository } from './orders.repository.js';
import { StatusChange } from './status-change.entity.js';

/** Who changed an order, where it was a person, and what they said about it. */
export interface Cause {
  by: string | null;
  reason?: string | undefined;
}

const EVENTS: Readonly<Record<Exclude<OrderStatus, 'pending'>, EventType>> = {
  paid: 'order.paid',
  shipped: 'order.shipped',
  delivered: 'order.delivered',
  cancelled: 'order.cancelled',
  refunded: 'order.refunded',
};

const ORDER_EVENTS = EVENT_TYPES.filter((type) => type.startsWith('order.'));

/** Writes orders, so that no change of one goes without its line in the history and its event. */
@Injectable()
export class OrderJournal {
  constructor(
    private readonly orders: OrdersRepository,
    private readonly changes: StatusChangesRepository,
    private readonly events: EventsService,
  ) {}

  /** The order, which nobody else changes until the unit of work ends. @throws OrderNotFound */
  async lock(id: string): Promise<Order> {
    const order = await this.orders.lockById(id);
    if (order === null) throw new OrderNotFound();
    return order;
  }

  /** Writes new orders, each with who placed it. */
  async addAll(placed: readonly { order: Order; by: string }[]): Promise<void> {
    await this.orders.createAll(placed.map(({ order }) => order));
    await this.changes.createAll(placed.map(({ order, by }) => StatusChange.of(order, null, by, null)));
    await this.events.recordAll(
      'order.created',
      placed.map(({ order }) => ({ resource: order, data: toOrder(order) })),
    );
  }

  /**
   * Lets `change` do its work on an order that is locked, and writes what became of it. Products and accounts are locked in
   * there: the history refers to who did it, and users come last in the order in which everybody locks.
   */
  async change<T>(order: Order, cause: Cause, change: () => T | Promise<T>): Promise<T> {
    const from = order.status;
    const result = await change();
    const { status, note, metadata, updatedAt, version } = order;
    await this.orders.update(order.id, { status, note, metadata, updatedAt, version });
    const moved = status !== from && status !== 'pending';
    if (moved) await this.changes.create(StatusChange.of(order, from, cause.by, cause.reason ?? null));
    await this.events.record(moved ? EVENTS[status] : 'order.updated', order, toOrder(order));
    return result;
  }

  /** Blanks why a user, who is being erased, did what they did to their orders. */
  async forgetReasons(userId: string): Promise<void> {
    await this.changes.blankReasons(userId);
  }

  /** Blanks in all that was told of a user's orders what they wrote on them, who is being erased. */
  async redact(userId: string): Promise<void> {
    await this.events.redact(await this.orders.idsOf(userId), ORDER_EVENTS, { note: null, metadata: {} });
  }
}
