import { type Answer, type Client, dataOf, type UserClient } from '../app.js';
import { tally, times, TwoServers } from './two-servers.js';

interface Case {
  user: UserClient;
  /** Theirs, with nothing in it. */
  accountId: string;
  /** Theirs, not paid, and free. */
  order: { id: string };
  product: { id: string };
}

describe('a user who is erased', () => {
  let servers: TwoServers;
  let admin: UserClient;
  beforeAll(async () => {
    servers = await TwoServers.start();
    admin = await servers.one.admin();
  });
  afterAll(() => servers?.stop());

  const STOCK = 100;
  const begin = async (): Promise<Case> => {
    const user = await servers.one.register('Ann Archer');
    const accountId = dataOf(await user.post('/accounts', { currency: 'EUR' }), 201).id;
    const product = await servers.one.product({ price: 0, stock: STOCK });
    const items = [{ productId: product.id, quantity: 3 }];
    return { user, accountId, product, order: dataOf(await user.post('/orders', { items }), 201) };
  };
  const items = ({ product }: Case) => [{ productId: product.id, quantity: 1 }];

  const others: { what: string; ask: (given: Case, as: (who: UserClient) => Client) => Promise<Answer> }[] = [
    {
      what: 'is given money',
      ask: ({ accountId }, as) => as(admin).post('/deposits', { accountId, amount: 1 }),
    },
    {
      what: 'has ordered what is being counted',
      ask: ({ product }, as) =>
        as(admin).post(`/products/${product.id}/stock-adjustments`, { delta: 5, reason: 'Found' }),
    },
    {
      what: 'pays',
      ask: ({ user, order, accountId }, as) => as(user).post(`/orders/${order.id}/payments`, { accountId }),
    },
    {
      what: 'cancels',
      ask: ({ user, order }, as) => as(user).post(`/orders/${order.id}/cancellations`, {}),
    },
    {
      what: 'is cancelled',
      ask: ({ order }, as) => as(admin).post(`/orders/${order.id}/cancellations`, {}),
    },
    { what: 'orders', ask: (given, as) => as(given.user).post('/orders', { items: items(given) }) },
    { what: 'opens an account', ask: ({ user }, as) => as(user).post('/accounts', { currency: 'USD' }) },
  ];

  it.each(others)('at the moment at which the same user $what: nobody waits in a circle', async ({ ask }) => {
    const answers: Answer[] = [];
    for (let round = 0; round < times(4, 40); round++) {
      const given = await begin();
      const meanwhile = [0, 1].map((turn) => ask(given, (who) => servers.as(who, turn)));
      const [erased, ...rest] = await Promise.all([
        servers.as(round % 3 === 0 ? admin : given.user, round).delete(`/users/${given.user.id}`),
        ...meanwhile,
      ]);
      answers.push(...rest);
      expect([204, 409]).toContain(erased.status);
      if (erased.status !== 204) continue;
      const left = await servers.one.sql(
        `SELECT id FROM orders WHERE user_id = $1 AND status = 'pending'
          UNION ALL SELECT id FROM accounts WHERE user_id = $1 AND (closed_at IS NULL OR balance <> 0)`,
        [given.user.id],
      );
      expect(left).toEqual([]);
      const [{ out } = {}] = await servers.one.sql(
        `SELECT coalesce(sum(quantity), 0)::int AS out FROM order_items JOIN orders ON orders.id = order_id
          WHERE product_id = $1 AND status <> 'cancelled'`,
        [given.product.id],
      );
      const [{ found } = {}] = await servers.one.sql(
        'SELECT coalesce(sum(delta), 0)::int AS found FROM stock_adjustments WHERE product_id = $1',
        [given.product.id],
      );
      expect(await servers.stockOf(given.product.id)).toBe(STOCK + Number(found) - Number(out));
    }
    expect(Object.keys(tally(answers)).filter((kind) => kind.startsWith('5'))).toEqual([]);
    await servers.checkDeadlocks();
    await servers.checkBooks();
  });

  it('is held by nobody while other users are: deletions, deposits and orders of many at once', async () => {
    const cases = await Promise.all(Array.from({ length: times(6, 12) }, begin));
    const answers = await Promise.all(
      cases.flatMap((given, n) => [
        servers.as(n % 2 === 0 ? admin : given.user, n).delete(`/users/${given.user.id}`),
        servers.as(admin, n + 1).post('/deposits', { accountId: given.accountId, amount: 1 }),
        servers.as(given.user, n + 1).post('/orders', { items: items(given) }),
      ]),
    );
    expect(Object.keys(tally(answers)).filter((kind) => kind.startsWith('5'))).toEqual([]);
    await servers.checkDeadlocks();
    await servers.checkBooks();
  });
});
