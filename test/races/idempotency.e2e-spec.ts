import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Client, dataOf, failureOf, type UserClient } from '../app.js';
import { times, TwoServers } from './two-servers.js';

const AT_ONCE = 100;

describe('one key, a hundred times at once over two servers', () => {
  const rounds = times(1, 10);
  let servers: TwoServers;
  let moderator: UserClient;
  let user: UserClient;
  let accountId: string;
  let otherId: string;
  let productId: string;
  beforeAll(async () => {
    servers = await TwoServers.start();
    moderator = await servers.one.moderator();
    const [ann, bob] = (await servers.users(2)) as [UserClient, UserClient];
    user = ann;
    accountId = await servers.one.funded(ann, 1_000_000);
    otherId = await servers.one.funded(bob, 0);
    ({ id: productId } = await servers.one.product({ price: 1000, stock: 1000 }));
  });
  afterAll(async () => {
    try {
      await servers?.checkBooks();
    } finally {
      await servers?.stop();
    }
  });

  /** Asks until there is an answer: on a slow machine the first may still be running when the others have waited enough. */
  const settle = async (
    client: Client,
    path: string,
    body: object,
    headers: Record<string, string>,
  ): Promise<Answer> => {
    for (;;) {
      const answer = await client.post(path, body, headers);
      if (failureOf(answer) !== '409 IDEMPOTENCY_IN_PROGRESS') return answer;
      await sleep(1000);
    }
  };

  /** What all of them were answered. */
  const storm = async (as: UserClient, path: string, body: object): Promise<any> => {
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, n) => settle(servers.as(as, n), path, body, headers)),
    );
    const parts = answers.map(({ status, headers, body }) =>
      JSON.stringify([status, headers.get('location'), body.data]),
    );
    expect(new Set(parts).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') !== 'true')).toHaveLength(1);
    return dataOf(answers[0]!, 201);
  };

  const place = async (): Promise<string> => {
    const { id } = dataOf(await user.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
    return id;
  };
  const state = async () => {
    const [counts] = await servers.one.sql(
      `SELECT (SELECT count(*) FROM orders)::int AS orders, (SELECT count(*) FROM payments)::int AS payments,
              (SELECT count(*) FROM transfers)::int AS transfers, (SELECT stock FROM products WHERE id = $1) AS stock,
              (SELECT balance FROM accounts WHERE id = $2)::int AS balance`,
      [productId, accountId],
    );
    return counts as Record<'orders' | 'payments' | 'transfers' | 'stock' | 'balance', number>;
  };

  it('is one order', async () => {
    for (let round = 0; round < rounds; round++) {
      const before = await state();
      await storm(user, '/orders', { items: [{ productId, quantity: 1 }] });
      expect(await state()).toEqual({ ...before, orders: before.orders + 1, stock: before.stock - 1 });
    }
  });

  it('is one payment', async () => {
    for (let round = 0; round < rounds; round++) {
      const id = await place();
      const { payments, transfers, balance, ...rest } = await state();
      await storm(user, `/orders/${id}/payments`, { accountId });
      const after = { payments: payments + 1, transfers: transfers + 1, balance: balance - 1000 };
      expect(await state()).toEqual({ ...rest, ...after });
    }
  });

  it('is one transfer', async () => {
    for (let round = 0; round < rounds; round++) {
      const { transfers, balance, ...rest } = await state();
      await storm(user, '/transfers', { fromAccountId: accountId, toAccountId: otherId, amount: 7 });
      expect(await state()).toEqual({ ...rest, transfers: transfers + 1, balance: balance - 7 });
    }
  });

  it('is one refund, of a part that could be given back more often', async () => {
    for (let round = 0; round < rounds; round++) {
      const id = await place();
      dataOf(await user.post(`/orders/${id}/payments`, { accountId }), 201);
      const { payments, transfers, balance, ...rest } = await state();
      await storm(moderator, `/orders/${id}/refunds`, { amount: 5 });
      const after = { payments: payments + 1, transfers: transfers + 1, balance: balance + 5 };
      expect(await state()).toEqual({ ...rest, ...after });
    }
  });
});
