import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import pg from 'pg';
import { type Answer, dataOf, type UserClient } from '../app.js';
import { tally, times, TwoServers } from './two-servers.js';

describe('money, when much happens at once', () => {
  let servers: TwoServers;
  let moderator: UserClient;
  beforeAll(async () => {
    servers = await TwoServers.start();
    moderator = await servers.one.moderator();
  });
  afterAll(async () => {
    try {
      await servers?.checkBooks();
    } finally {
      await servers?.stop();
    }
  });

  const place = async (user: UserClient, productId: string): Promise<string> =>
    dataOf(await user.post('/orders', { items: [{ productId, quantity: 1 }] }), 201).id;

  it('is either paid or not: the order is cancelled or paid, never both', async () => {
    const rounds = times(20, 200);
    const [user] = await servers.users(1);
    const accountId = await servers.one.funded(user!, 1000 * rounds);
    const { id: productId } = await servers.one.product({ price: 1000, stock: rounds });
    let paid = 0;
    for (let round = 0; round < rounds; round++) {
      const id = await place(user!, productId);
      const [payment, cancellation] = await Promise.all([
        servers.as(user!, round).post(`/orders/${id}/payments`, { accountId }),
        servers.as(user!, round + 1).post(`/orders/${id}/cancellations`, {}),
      ]);
      const { status } = dataOf(await user!.get(`/orders/${id}`));
      // An owner may not cancel what is paid.
      const outcome = [payment.status, cancellation.status, status];
      expect([
        [201, 403, 'paid'],
        [409, 201, 'cancelled'],
      ]).toContainEqual(outcome);
      if (status === 'paid') paid++;
    }
    expect(await servers.balanceOf(accountId)).toBe(1000 * (rounds - paid));
    expect(await servers.stockOf(productId)).toBe(rounds - paid);
  });

  it('is taken once for an order, however often it is paid', async () => {
    const rounds = times(10, 100);
    const [user] = await servers.users(1);
    const accountId = await servers.one.funded(user!, 1000 * rounds * 4);
    const { id: productId } = await servers.one.product({ price: 1000, stock: rounds });
    for (let round = 0; round < rounds; round++) {
      const id = await place(user!, productId);
      const pay = (_: unknown, n: number) => servers.as(user!, n).post(`/orders/${id}/payments`, { accountId });
      expect(tally(await Promise.all([1, 2, 3, 4].map(pay)))).toEqual({ 201: 1, '409 INVALID_TRANSITION': 3 });
    }
    expect(await servers.balanceOf(accountId)).toBe(1000 * rounds * 3);
    expect(await servers.one.sql('SELECT order_id FROM payments GROUP BY order_id HAVING count(*) > 1')).toEqual([]);
  });

  it('is given back up to what was paid, however many give it back', async () => {
    const rounds = times(8, 80);
    const [user] = await servers.users(1);
    const accountId = await servers.one.funded(user!, 1000 * rounds);
    const { id: productId } = await servers.one.product({ price: 1000, stock: rounds });
    for (let round = 0; round < rounds; round++) {
      const id = await place(user!, productId);
      dataOf(await user!.post(`/orders/${id}/payments`, { accountId }), 201);
      const refund = (amount: number, n: number) => servers.as(moderator, n).post(`/orders/${id}/refunds`, { amount });
      const answers = await Promise.all([300, 300, 300, 300, 300, 300].map(refund));
      expect(tally(answers)).toEqual({ 201: 3, '422 VALIDATION_ERROR': 3 });
      const rest = await Promise.all([0, 1, 2].map((n) => servers.as(moderator, n).post(`/orders/${id}/refunds`, {})));
      expect(tally(rest)).toEqual({ 201: 1, '409 INVALID_TRANSITION': 2 });
      expect(
        dataOf(
          rest.find(({ status }) => status === 201)!,
          201,
        ).amount,
      ).toBe(-100);
      expect(dataOf(await user!.get(`/orders/${id}`)).status).toBe('refunded');
    }
    expect(await servers.balanceOf(accountId)).toBe(1000 * rounds);
  });

  it('neither grows nor shrinks by any transfers', async () => {
    const [people, transfers, funds] = [6, times(300, 10_000), 2000];
    const users = await servers.users(people);
    const accounts = await Promise.all(users.map((user) => servers.one.funded(user, funds, 'GBP')));
    const someone = fc.nat(people - 1);
    const transfer = fc
      .record({ from: someone, to: someone, amount: fc.integer({ min: 1, max: 1500 }) })
      .filter(({ from, to }) => from !== to);
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
    process.stdout.write(`Random transfers with SEED=${seed}\n`);
    const batches = fc.sample(fc.array(transfer, { minLength: 20, maxLength: 20 }), { seed, numRuns: transfers / 20 });

    const answers: Answer[] = [];
    for (const batch of batches) {
      const sent = batch.map(({ from, to, amount }, n) =>
        servers
          .as(users[from]!, n)
          .post('/transfers', { fromAccountId: accounts[from], toAccountId: accounts[to], amount }),
      );
      answers.push(...(await Promise.all(sent)));
    }
    const kinds = tally(answers);
    expect(Object.keys(kinds).filter((kind) => !['201', '422 INSUFFICIENT_FUNDS'].includes(kind))).toEqual([]);
    const balances = await Promise.all(accounts.map((id) => servers.balanceOf(id)));
    expect(balances.filter((balance) => balance < 0)).toEqual([]);
    expect(balances.reduce((sum, balance) => sum + balance, 0)).toBe(people * funds);
    const [row] = await servers.one.sql(
      `SELECT count(*)::int AS made FROM transfers WHERE kind = 'transfer' AND currency = 'GBP'`,
    );
    expect(row).toEqual({ made: kinds['201'] });
    await servers.checkDeadlocks();
  });
});

describe('an order that is paid in its last moment', () => {
  let servers: TwoServers;
  beforeAll(async () => {
    servers = await TwoServers.start({ ORDER_TTL: '2' });
  });
  afterAll(async () => {
    try {
      await servers?.checkBooks();
    } finally {
      await servers?.stop();
    }
  });

  /** What the jobs of either server had to leave for the next time. */
  const failures = () =>
    [servers.one, servers.other]
      .flatMap((server) => server.logs())
      .filter(({ msg }) => msg === 'Could not give up an unpaid order');

  it('is not given up while it is being paid', async () => {
    const [user] = await servers.users(1);
    const accountId = await servers.one.funded(user!, 1000);
    const { id: productId } = await servers.one.product({ price: 1000 });
    const holder = new pg.Client(servers.one.databaseUrl);
    await holder.connect();
    try {
      await holder.query('BEGIN');
      await holder.query('SELECT FROM accounts WHERE id = $1 FOR UPDATE', [accountId]);
      const { id } = dataOf(await user!.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
      const payment = user!.post(`/orders/${id}/payments`, { accountId });
      // The jobs come by every second.
      await sleep(4000);
      await holder.query('COMMIT');
      dataOf(await payment, 201);
      expect(dataOf(await user!.get(`/orders/${id}`)).status).toBe('paid');
    } finally {
      await holder.end();
    }
    expect(failures()).toEqual([]);
  });

  it('is paid, or given up and its stock put back', async () => {
    const orders = times(20, 200);
    const [user] = await servers.users(1);
    const accountId = await servers.one.funded(user!, 1000 * orders);
    const { id: productId } = await servers.one.product({ price: 1000, stock: orders });
    const answers = await Promise.all(
      Array.from({ length: orders }, async (_, n) => {
        const order = dataOf(await servers.as(user!, n).post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
        const wait = Date.parse(order.expiresAt) - Date.now() - 200 + 20 * (n % 20);
        await new Promise((wake) => setTimeout(wake, wait));
        return servers.as(user!, n + 1).post(`/orders/${order.id}/payments`, { accountId });
      }),
    );
    const kinds = tally(answers);
    const paid = kinds['201'] ?? 0;
    expect(kinds).toEqual({
      ...(paid > 0 && { 201: paid }),
      ...(paid < orders && { '409 INVALID_TRANSITION': orders - paid }),
    });
    const left = () => servers.one.sql(`SELECT id FROM orders WHERE status = 'pending'`);
    for (const deadline = Date.now() + 20_000; (await left()).length > 0 && Date.now() < deadline;) {
      await new Promise((wake) => setTimeout(wake, 200));
    }
    const outcomes = await servers.one.sql(
      'SELECT status, count(*)::int FROM orders WHERE user_id = $1 GROUP BY status ORDER BY status',
      [user!.id],
    );
    expect(outcomes).toEqual(
      [
        { status: 'cancelled', count: orders - paid },
        { status: 'paid', count: paid },
      ].filter(({ count }) => count > 0),
    );
    expect(await servers.stockOf(productId)).toBe(orders - paid);
    expect(await servers.balanceOf(accountId)).toBe(1000 * (orders - paid));
    expect(failures()).toEqual([]);
  });
});
