import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import {
  type Answer,
  type App,
  cloneDatabase,
  dataOf,
  dropDatabase,
  failureOf,
  startApp,
  type UserClient,
} from '../app.js';
import { until } from '../until.js';

const outcomes = (answers: readonly Answer[]): string[] =>
  answers.map((answer) => (answer.status === 201 ? '201' : failureOf(answer)));

describe('orders that share a transaction', () => {
  let databaseUrl: string;
  let app: App;
  let ann: UserClient;
  beforeAll(async () => {
    databaseUrl = await cloneDatabase();
    app = await startApp({ DATABASE_URL: databaseUrl });
    ann = await app.register('Ann Archer');
  });
  afterAll(async () => {
    await app?.stop();
    await dropDatabase(databaseUrl);
  });

  const order = (by: UserClient, productId: string, quantity = 1, headers: Record<string, string> = {}) =>
    by.post('/orders', { items: [{ productId, quantity }] }, headers);
  const stockOf = async (id: string): Promise<number> => dataOf(await app.anonymous.get(`/products/${id}`)).stock;

  it('have each its own outcome', async () => {
    const plenty = await app.product({ stock: 100 });
    const few = await app.product({ stock: 3 });
    const dollars = await app.product({ stock: 100, currency: 'USD' });
    const kinds = [
      () => order(ann, plenty.id),
      () => order(ann, few.id, 2),
      () => order(ann, randomUUID()),
      () =>
        ann.post('/orders', {
          items: [plenty, dollars].map(({ id }) => ({ productId: id, quantity: 1 })),
        }),
    ];
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => kinds[n % kinds.length]!()));
    const of = (kind: number) => outcomes(answers.filter((_, n) => n % kinds.length === kind));
    expect(of(0)).toEqual(Array(10).fill('201'));
    expect(of(1).sort()).toEqual(['201', ...Array(9).fill('409 INSUFFICIENT_STOCK')]);
    expect(of(2)).toEqual(Array(10).fill('422 VALIDATION_ERROR'));
    expect(of(3)).toEqual(Array(10).fill('422 CURRENCY_MISMATCH'));
    // Who was refused has taken nothing.
    expect([await stockOf(plenty.id), await stockOf(few.id), await stockOf(dollars.id)]).toEqual([90, 1, 100]);
    const ids = answers.filter(({ status }) => status === 201).map(({ body }) => body.data.id as string);
    const [events] = await app.sql(
      `SELECT count(*)::int AS count FROM events WHERE type = 'order.created' AND resource_id = ANY ($1)`,
      [ids],
    );
    expect(events).toEqual({ count: 11 });
  });

  describe('while a disk is slow', () => {
    beforeAll(async () => {
      await app.sql('CREATE TABLE gate (is_open boolean)');
      // The lock is one that all may have: it shows who is here.
      await app.sql(`CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(4711);
        WHILE NOT (SELECT is_open FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN NULL;
      END $$`);
      await app.sql(`CREATE CONSTRAINT TRIGGER orders_wait AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait_at_gate()`);
    });
    beforeEach(() => app.sql('INSERT INTO gate VALUES (false)'));
    afterEach(() => app.sql('DELETE FROM gate'));
    afterAll(() => app.sql('DROP FUNCTION wait_at_gate CASCADE'));

    const open = () => app.sql('UPDATE gate SET is_open = true');
    const committing = async (): Promise<unknown> => {
      const [row] = await app.sql(
        `SELECT count(*)::int AS count FROM pg_locks
          WHERE locktype = 'advisory' AND objid = 4711
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return row!.count;
    };

    it('begin while those before them commit, and no sooner', async () => {
      const [one, two, three] = [await app.product(), await app.product(), await app.product()];
      const first = order(ann, one.id);
      await until(async () => (await committing()) === 1);
      const second = order(ann, two.id);
      await until(async () => (await committing()) === 2);
      // A disk that does not answer must not keep all connections busy.
      const third = order(ann, three.id);
      await sleep(200);
      expect(await committing()).toBe(2);
      await open();
      expect(outcomes(await Promise.all([first, second, third]))).toEqual(['201', '201', '201']);
    });

    it('stay together when those before them keep a row for longer than a group waits', async () => {
      const { id } = await app.product({ stock: 100 });
      const [euros, dollars] = [await app.product(), await app.product({ currency: 'USD' })];
      const first = order(ann, id);
      await until(async () => (await committing()) === 1);
      // One that is refused in the end, and before that keeps the others waiting until all of them are there.
      const holder = await app.hold('SELECT FROM products WHERE id = $1 FOR UPDATE', [euros.id]);
      const refused = ann.post('/orders', {
        items: [euros, dollars].map((product) => ({ productId: product.id, quantity: 1 })),
      });
      await holder.somebodyWaits();
      const others = Array.from({ length: 20 }, () => order(ann, id));
      await sleep(200);
      await holder.letGo();
      expect(failureOf(await refused)).toBe('422 CURRENCY_MISMATCH');
      await sleep(1500);
      await open();
      const [, ...answers] = await Promise.all([first, ...others]);
      expect(outcomes(answers)).toEqual(Array(20).fill('201'));
      const ids = answers.map(({ body }) => body.data.id as string);
      const transactions = await app.sql('SELECT DISTINCT xmin FROM orders WHERE id = ANY ($1)', [ids]);
      // Whoever was late for the first of their groups came with the next.
      expect(transactions.length).toBeLessThanOrEqual(2);
    });
  });

  it('are placed although the database refuses one of them', async () => {
    const { id } = await app.product({ stock: 100 });
    const gone = await app.register('Gone Girl');
    // Behind the server's back, so that the token is still good.
    await app.sql(
      `UPDATE users SET erased_at = now(), email = NULL, email_key = NULL, password_hash = NULL WHERE id = $1`,
      [gone.id],
    );
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => order(n === 7 ? gone : ann, id)));
    expect(outcomes(answers)).toEqual(Array.from({ length: 20 }, (_, n) => (n === 7 ? '409 CONFLICT' : '201')));
    expect(await stockOf(id)).toBe(81);
  });

  it('do not wait for a row that only some of them want', async () => {
    const [held, free] = [await app.product({ stock: 100 }), await app.product({ stock: 100 })];
    const elsewhere = new pg.Client({ connectionString: databaseUrl });
    await elsewhere.connect();
    try {
      await elsewhere.query('BEGIN');
      await elsewhere.query('SELECT FROM products WHERE id = $1 FOR UPDATE', [held.id]);
      let waiting = 4;
      const stuck = Array.from({ length: 4 }, () => order(ann, held.id).finally(() => waiting--));
      const began = performance.now();
      const others = await Promise.all(Array.from({ length: 12 }, () => order(ann, free.id)));
      expect(outcomes(others)).toEqual(Array(12).fill('201'));
      // The lock timeout of a statement is 8 s.
      expect(performance.now() - began).toBeLessThan(5000);
      // More come while those still wait.
      await sleep(100);
      expect(outcomes([await order(ann, free.id)])).toEqual(['201']);
      expect(waiting).toBe(4);
      await elsewhere.query('COMMIT');
      expect(outcomes(await Promise.all(stuck))).toEqual(Array(4).fill('201'));
    } finally {
      await elsewhere.end();
    }
  });

  it('keep each its own key', async () => {
    const { id } = await app.product({ stock: 10 });
    const keys = Array.from({ length: 15 }, () => ({ 'idempotency-key': randomUUID() }));
    const first = await Promise.all(keys.map((headers) => order(ann, id, 1, headers)));
    expect(outcomes(first).sort()).toEqual([...Array(10).fill('201'), ...Array(5).fill('409 INSUFFICIENT_STOCK')]);
    const again = await Promise.all(keys.map((headers) => order(ann, id, 1, headers)));
    expect(outcomes(again)).toEqual(outcomes(first));
    for (const [n, { status, headers, body }] of again.entries()) {
      const isReplayed = headers.get('idempotency-replayed') === 'true';
      expect([status, isReplayed]).toEqual([first[n]!.status, status === 201]);
      if (isReplayed) expect(body.data).toEqual(first[n]!.body.data);
    }
    // What was answered once is said again, whatever else is wrong by now; and nothing else goes by that key.
    const used = keys[first.findIndex(({ status }) => status === 201)]!;
    expect(failureOf(await order(ann, id, 2, used))).toBe('422 IDEMPOTENCY_KEY_REUSED');
    expect(failureOf(await ann.post('/orders', { items: [] }, used))).toBe('422 IDEMPOTENCY_KEY_REUSED');
  });
});
