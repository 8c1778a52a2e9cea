import { BoundedMap } from '../../bounded-map.js';
import { JsonView } from '../../database/json-view.js';

/** An order as the API shows it, and whose it is. */
export interface ShownOrder {
  id: string;
  userId: string;
  view: JsonView;
}

/** The row of an order as it is shown. */
export interface ShownRow {
  id: string;
  userId: string;
  version: number;
  text: string;
}

export const toShown = ({ id, userId, version, text }: ShownRow): ShownOrder => ({
  id,
  userId,
  view: new JsonView(text, version),
});

const MOST_ORDERS = 20_000;
/** In characters: some 15 items. */
const LONGEST_KEPT = 4000;

/**
 * Remembers orders as PostgreSQL wrote them. A statement tells it what is known, by its stamp, and brings what is not, or
 * not in that state any more. So nothing is shown that PostgreSQL has not just confirmed.
 */
export class ShownOrders {
  private readonly orders = new BoundedMap<{ stamp: string; order: ShownOrder }>(MOST_ORDERS);

  /** By its stamp, what is known of these orders. */
  known(ids: readonly string[]): Map<string, ShownOrder> {
    const known = new Map<string, ShownOrder>();
    for (const id of ids) {
      const found = this.orders.get(id);
      if (found !== undefined) known.set(found.stamp, found.order);
    }
    return known;
  }

  keep(stamp: string, order: ShownOrder): void {
    if (order.view.text.length <= LONGEST_KEPT) this.orders.set(order.id, { stamp, order });
  }
}
