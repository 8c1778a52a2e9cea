import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type App, type UserClient } from '../app.js';

if (process.env.RACES === 'full') jest.setTimeout(1_800_000);
else jest.setTimeout(180_000);

interface Acknowledged {
  user: UserClient;
  path: string;
  body: object;
  headers: { 'idempotency-key': string };
  answer: Answer;
}

/**
 * Buyers who place and pay orders as fast as they can, and remember what they were told. Where they are told nothing, they
 * ask again with the same key.
 */
export class OrderLoad {
  /** The orders that were acknowledged: what the buyer called them, and the id they got. */
  readonly placed = new Map<string, string>();
  /** The orders whose payment was acknowledged. */
  readonly paid = new Set<string>();
  readonly failures = new Map<string, number>();
  private readonly acknowledged: Acknowledged[] = [];
  private isRunning = false;
  private running: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly app: App,
    private readonly buyers: readonly { user: UserClient; accountId: string }[],
    private readonly productIds: readonly string[],
  ) {}

  start(): void {
    this.isRunning = true;
    this.running = Promise.all(this.buyers.map((buyer) => this.buy(buyer)));
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    await this.running;
  }

  /** Resolves when so many more orders have been acknowledged. */
  async more(count: number): Promise<void> {
    const goal = this.placed.size + count;
    for (const deadline = Date.now() + 60_000; this.placed.size < goal; await sleep(5)) {
      if (Date.now() > deadline) throw new Error(`Only ${this.placed.size} of ${goal} orders were acknowledged`);
    }
  }

  /** Fails where what the buyers were told is not what is in the database, or where that is at odds with itself. */
  async check(stockAtFirst: number): Promise<void> {
    const orders = await this.app.sql(
      `SELECT metadata->>'ref' AS ref, min(id::text) AS id, count(*)::int AS count, min(status) AS status
         FROM orders GROUP BY metadata->>'ref'`,
    );
    const byRef = new Map(orders.map((row) => [row.ref as string, row]));
    expect(orders.filter(({ count }) => count !== 1)).toEqual([]);
    const lost = [...this.placed].filter(([ref, id]) => byRef.get(ref)?.id !== id);
    expect(lost).toEqual([]);
    const unpaid = orders.filter(({ id, status }) => this.paid.has(id as string) && status !== 'paid');
    expect(unpaid).toEqual([]);

    for (const id of this.productIds) {
      const [row] = await this.app.sql(
        `SELECT stock + (SELECT coalesce(sum(quantity), 0)::int FROM order_items WHERE product_id = products.id) AS pieces
           FROM products WHERE id = $1`,
        [id],
      );
      expect(row).toEqual({ pieces: stockAtFirst });
    }
    // Each order has all of its parts: items, history, events, and what was paid for it.
    const torn = `
      SELECT id FROM orders WHERE
        (SELECT count(*) FROM order_items WHERE order_id = orders.id) <> 2
        OR (SELECT count(*) FROM order_status_changes WHERE order_id = orders.id) <> version
        OR (SELECT count(*) FROM events WHERE resource_id = orders.id) <> version
        OR (SELECT coalesce(sum(amount), 0) FROM payments WHERE order_id = orders.id)
           <> CASE status WHEN 'paid' THEN total ELSE 0 END`;
    expect(await this.app.sql(torn)).toEqual([]);
    const money = `
      SELECT id FROM accounts a WHERE kind = 'user' AND balance < 0
        OR balance <> (SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE account_id = a.id)`;
    expect(await this.app.sql(money)).toEqual([]);
  }

  /** Fails where a key that was acknowledged is answered in another way than it was, or has an effect again. */
  async replay(): Promise<void> {
    const rows = () => this.app.sql('SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM transfers)');
    const before = await rows();
    const partsOf = ({ status, headers, body }: Answer) => [status, headers.get('location'), body.data];
    expect(this.acknowledged.length).toBeGreaterThan(0);
    const left = this.acknowledged.entries();
    const ask = async () => {
      for (const [, { user, path, body, headers, answer }] of left) {
        const again = await user.post(path, body, headers);
        expect(partsOf(again)).toEqual(partsOf(answer));
        expect(again.headers.get('idempotency-replayed')).toBe('true');
      }
    };
    await Promise.all(Array.from({ length: 8 }, ask));
    expect(await rows()).toEqual(before);
  }

  private async buy({ user, accountId }: { user: UserClient; accountId: string }): Promise<void> {
    for (let n = 0; this.isRunning; n++) {
      const ids = n % 2 ? this.productIds : [...this.productIds].reverse();
      const ref = randomUUID();
      const items = ids.map((productId) => ({ productId, quantity: 1 }));
      const order = await this.send(user, '/orders', { items, metadata: { ref } });
      if (order === undefined) continue;
      const id = order.body.data.id as string;
      this.placed.set(ref, id);
      if ((await this.send(user, `/orders/${id}/payments`, { accountId })) !== undefined) this.paid.add(id);
    }
  }

  /** The answer, as soon as it is a good one; nobody knows what became of the request where the load ends before. */
  private async send(user: UserClient, path: string, body: object): Promise<Answer | undefined> {
    const headers = { 'idempotency-key': randomUUID() };
    do {
      let failure: string;
      try {
        const answer = await user.post(path, body, headers);
        if (answer.status < 300) {
          this.acknowledged.push({ user, path, body, headers, answer });
          return answer;
        }
        failure = `${answer.status} ${answer.body?.error?.code}`;
      } catch (error) {
        // Only a broken connection: an answer that is not as documented is a failure of the test.
        if ((error as Error).name !== 'TypeError') throw error;
        failure = 'no answer';
      }
      this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
      await sleep(20);
    } while (this.isRunning);
    return undefined;
  }
}
