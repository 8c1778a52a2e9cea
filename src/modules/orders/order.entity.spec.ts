import { Order, ORDER_STATUSES, type OrderLine, type OrderStatus, TRANSITIONS } from './order.entity.js';
import {
  CurrenciesDiffer,
  InvalidTransition,
  OrderNotPending,
  RefundTooLarge,
  TotalOutOfRange,
} from './orders.errors.js';

const line = (given: Partial<OrderLine> = {}): OrderLine => ({
  productId: '01890000-0000-7000-8000-000000000001',
  sku: 'MUG',
  name: 'Mug',
  quantity: 1,
  unitPrice: 1000,
  currency: 'EUR',
  ...given,
});
const place = (...lines: OrderLine[]) => Order.place('01890000-0000-7000-8000-000000000002', lines, {}, 60);
const orderThatIs = (status: OrderStatus) => Object.assign(place(line()), { status });

const MOVES: Record<Exclude<OrderStatus, 'pending'>, (order: Order) => void> = {
  paid: (order) => {
    order.pay();
  },
  shipped: (order) => {
    order.ship();
  },
  delivered: (order) => {
    order.deliver();
  },
  cancelled: (order) => {
    order.cancel();
  },
  refunded: (order) => {
    order.refund(1000, 1000);
  },
};

describe('an order', () => {
  it('is worth what its lines come to, and waits for its payment for so many seconds', () => {
    const order = place(line({ quantity: 3 }), line({ unitPrice: 5, quantity: 2 }));
    expect(order).toMatchObject({ status: 'pending', total: 3010, version: 1 });
    expect(order.items.map(({ position, total }) => [position, total])).toEqual([
      [0, 3000],
      [1, 10],
    ]);
    expect(order.expiresAt.getTime() - order.createdAt.getTime()).toBe(60_000);
  });

  it('has one currency, and a total that a JSON number carries', () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(() => place(line(), line({ currency: 'USD' }))).toThrow(CurrenciesDiffer);
    expect(place(line({ unitPrice: most })).total).toBe(most);
    expect(() => place(line({ unitPrice: most }), line({ unitPrice: 1 }))).toThrow(TotalOutOfRange);
    expect(() => place(line({ unitPrice: most, quantity: 2 }))).toThrow(TotalOutOfRange);
  });

  it('bears a number that is short, easily read out, and says nothing of the one before', () => {
    const numbers = Array.from({ length: 1000 }, () => place(line()).number);
    expect(numbers.filter((number) => !/^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$/.test(number))).toEqual([]);
    expect(new Set(numbers).size).toBe(1000);
    expect([...numbers].sort()).not.toEqual(numbers);
  });

  const pairs = ORDER_STATUSES.flatMap((from) =>
    Object.entries(MOVES).map(([to, move]) => ({ from, to: to as OrderStatus, move })),
  );
  it.each(pairs)('goes from $from to $to only if the table says so', ({ from, to, move }) => {
    const order = orderThatIs(from);
    const allowed: readonly OrderStatus[] = TRANSITIONS[from];
    if (allowed.includes(to)) {
      move(order);
      expect(order).toMatchObject({ status: to, version: 2 });
    } else {
      let thrown: unknown;
      try {
        move(order);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(InvalidTransition);
      expect((thrown as InvalidTransition).details).toEqual([{ from, to, allowed: [...allowed] }]);
      expect(order).toMatchObject({ status: from, version: 1 });
    }
  });

  it('can not be paid once its time is up', () => {
    const order = place(line());
    expect(() => {
      order.pay(order.expiresAt);
    }).toThrow(InvalidTransition);
    order.pay(new Date(order.expiresAt.getTime() - 1));
    expect(order.status).toBe('paid');
    expect(order.isOverdue(order.expiresAt)).toBe(false);
  });

  it('is refunded once nothing is left, and never by more than that', () => {
    const order = orderThatIs('shipped');
    order.refund(400, 1000);
    expect(order).toMatchObject({ status: 'shipped', version: 2 });
    expect(() => {
      order.refund(601, 600);
    }).toThrow(RefundTooLarge);
    order.refund(600, 600);
    expect(order).toMatchObject({ status: 'refunded', version: 3 });
  });

  it('takes a new note only while it is pending', () => {
    const order = place(line());
    order.annotate({ note: 'Ring twice' });
    expect(order).toMatchObject({ note: 'Ring twice', metadata: {}, version: 2 });
    order.pay();
    expect(() => {
      order.annotate({ note: 'Too late' });
    }).toThrow(OrderNotPending);
  });
});
