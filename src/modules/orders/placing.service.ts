import { Injectable } from '@nestjs/common';
import { Config } from '../../config.js';
import { GroupCommit, outcomeOf } from '../../database/group-commit.js';
import { IdempotencyKeys, type Keyed } from '../../database/idempotency.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { assertMay, type Principal } from '../../permissions.js';
import { CatalogueService, type Quantity, type Shelf } from '../catalogue/index.js';
import { UsersService } from '../users/index.js';
import { OrderJournal } from './order-journal.js';
import { Order, type OrderExtras } from './order.entity.js';

export interface PlaceOrder extends OrderExtras {
  items: Quantity[];
}

interface Placing {
  userId: string;
  given: PlaceOrder;
  by: string;
  key: Keyed<Order> | undefined;
}

/** Places orders. */
@Injectable()
export class PlacingService {
  private readonly placing: GroupCommit<Placing, Order>;

  constructor(
    private readonly journal: OrderJournal,
    private readonly catalogue: CatalogueService,
    private readonly users: UsersService,
    private readonly keys: IdempotencyKeys,
    unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {
    this.placing = new GroupCommit(unitOfWork, (wishes) => this.placeAll(wishes));
  }

  /**
   * Takes stock and records the order, its history and its event: all or nothing. Orders that come at the same time share
   * a transaction, and each has its own outcome.
   *
   * @param by who places it, where that is not the user themselves
   * @param key recorded in the same transaction
   * @throws ValidationError, InsufficientStock, CurrenciesDiffer
   */
  place(userId: string, given: PlaceOrder, by = userId, key?: Keyed<Order>): Promise<Order> {
    return this.placing.of({ userId, given, by, key });
  }

  /** For another, where the role permits it. @throws UserNotFound, ForbiddenError, and what `place` throws */
  async placeFor(userId: string, order: PlaceOrder, by: Principal): Promise<Order> {
    await this.users.get(userId, by);
    assertMay(by, 'write', userId);
    return this.place(userId, order, by.id);
  }

  /** An error in the place of each order that is refused. */
  private async placeAll(wishes: readonly Placing[]): Promise<(Order | Error)[]> {
    const taken = await this.keys.claimAll(wishes.map(({ key }) => key?.claim));
    const open = wishes.filter((_, index) => taken[index] === undefined);
    const shelf = await this.catalogue.hold(open.map(({ given }) => given.items));
    const outcomes = wishes.map((wish, index) => taken[index] ?? outcomeOf(() => this.placeOne(wish, shelf)));
    await this.catalogue.writeDown(shelf);
    const placed = wishes.flatMap((wish, index) => {
      const order = outcomes[index];
      return order instanceof Order ? [{ ...wish, order }] : [];
    });
    await this.journal.addAll(placed);
    await this.keys.recordAll(
      placed.flatMap(({ key, order }) => (key ? [{ claim: key.claim, answer: key.answerOf(order) }] : [])),
    );
    return outcomes;
  }

  private placeOne({ userId, given: { items, note, metadata } }: Placing, shelf: Shelf): Order {
    const lines = shelf.offer(items);
    const order = Order.place(userId, lines, { note, metadata }, this.config.orderTtl);
    shelf.take(lines);
    return order;
  }
}
