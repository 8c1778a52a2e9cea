import { dataOf } from '../app.js';
import { tally, times, TwoServers } from './two-servers.js';

describe('stock, when many want it at once', () => {
  let servers: TwoServers;
  beforeAll(async () => {
    servers = await TwoServers.start();
  });
  afterAll(() => servers?.stop());

  it('is sold once, to as many as there are pieces', async () => {
    const [buyers, pieces] = [times(200, 1000), times(40, 100)];
    const users = await servers.users(20);
    const { id: productId } = await servers.one.product({ stock: pieces });
    const body = { items: [{ productId, quantity: 1 }] };
    const began = performance.now();
    const durations: number[] = [];
    const answers = await Promise.all(
      Array.from({ length: buyers }, async (_, n) => {
        const answer = await servers.as(users[n % users.length]!, n).post('/orders', body);
        durations.push(performance.now() - began);
        return answer;
      }),
    );
    const sold = Math.round(Math.max(...durations));
    expect(tally(answers)).toEqual({ 201: pieces, '409 INSUFFICIENT_STOCK': buyers - pieces });
    expect(await servers.stockOf(productId)).toBe(0);
    const rows = await servers.one.sql('SELECT sum(quantity)::int AS sold FROM order_items WHERE product_id = $1', [
      productId,
    ]);
    expect(rows).toEqual([{ sold: pieces }]);
    // The queue for one row moves: far from the lock's timeout for each, and no longer for the last than it has to be.
    expect(sold).toBeLessThan(buyers * 50);
    process.stdout.write(`${buyers} buyers for ${pieces} pieces: the last was answered after ${sold} ms\n`);
  });

  it('does not deadlock when orders name the same products in opposite order', async () => {
    const orders = times(60, 500);
    const [user] = await servers.users(1);
    const [a, b, c] = [
      await servers.one.product({ stock: orders }),
      await servers.one.product({ stock: orders }),
      await servers.one.product({ stock: orders }),
    ];
    const ways = [
      [a, b, c],
      [c, b, a],
      [b, a, c],
      [c, a, b],
    ];
    const answers = await Promise.all(
      Array.from({ length: orders }, (_, n) => {
        const items = ways[n % ways.length]!.map(({ id }) => ({ productId: id, quantity: 1 }));
        return servers.as(user!, n).post('/orders', { items });
      }),
    );
    expect(tally(answers)).toEqual({ 201: orders });
    for (const { id } of [a, b, c]) expect(await servers.stockOf(id)).toBe(0);
    // Not by luck of the retries either: no transaction met a deadlock.
    await servers.checkDeadlocks();
  });

  it('comes back as often as it was taken, when orders are placed and cancelled at once', async () => {
    const rounds = times(30, 300);
    const users = await servers.users(4);
    const [one, two] = [await servers.one.product({ stock: rounds }), await servers.one.product({ stock: rounds })];
    await Promise.all(
      Array.from({ length: rounds }, async (_, n) => {
        const user = users[n % users.length]!;
        const pair = n % 2 ? [one, two] : [two, one];
        const items = pair.map(({ id }) => ({ productId: id, quantity: 1 }));
        const { id } = dataOf(await servers.as(user, n).post('/orders', { items }), 201);
        const cancel = (turn: number) => servers.as(user, turn).post(`/orders/${id}/cancellations`, {});
        expect(tally(await Promise.all([cancel(0), cancel(1)]))).toEqual({ 201: 1, '409 INVALID_TRANSITION': 1 });
      }),
    );
    expect([await servers.stockOf(one.id), await servers.stockOf(two.id)]).toEqual([rounds, rounds]);
  });
});
