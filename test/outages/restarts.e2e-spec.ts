import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type App, type Client, dataOf, startApp, type UserClient } from '../app.js';
import { planted } from '../environment.js';
import { describeWithHaproxy, Haproxy } from '../haproxy.js';
import { freePort } from '../receiver.js';
import { stopwatch } from '../stopwatch.js';

const FULL = process.env.OUTAGES === 'full';
const RESTARTS = FULL ? 20 : 2;
const SETTINGS = { SHUTDOWN_DELAY: '4', TRUST_PROXY: '127.0.0.1' };

jest.setTimeout(FULL ? 900_000 : 180_000);

/** Buys and looks around through the load balancer, over connections that are kept, and remembers every answer. */
class Shoppers {
  readonly answers = new Map<string, number>();
  orders = 0;
  private readonly agent = new Agent({ keepAlive: true });
  private isOn = true;
  private readonly shopping: Promise<unknown>;

  constructor(
    private readonly url: string,
    private readonly token: string,
    private readonly productId: string,
    count: number,
  ) {
    this.shopping = Promise.all(Array.from({ length: count }, () => this.shop()));
  }

  async stop(): Promise<void> {
    this.isOn = false;
    await this.shopping;
    this.agent.destroy();
  }

  private async shop(): Promise<void> {
    while (this.isOn) {
      await this.send('GET', `/api/v1/products/${this.productId}`);
      const order = JSON.stringify({ items: [{ productId: this.productId, quantity: 1 }] });
      if ((await this.send('POST', '/api/v1/orders', order)) === '201') this.orders++;
      // It need be under load, not more than it can bear.
      await sleep(20);
    }
  }

  private async send(method: string, path: string, body?: string): Promise<string> {
    const headers = {
      authorization: `Bearer ${this.token}`,
      ...(body !== undefined && { 'content-type': 'application/json', 'idempotency-key': randomUUID() }),
    };
    const outcome = await new Promise<string>((resolve) => {
      const outgoing = request(this.url + path, { method, agent: this.agent, headers }, (response) => {
        response.resume().on('end', () => {
          resolve(String(response.statusCode));
        });
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code ?? error.message);
      });
      outgoing.end(body);
    });
    const kind = `${method} ${outcome}`;
    this.answers.set(kind, (this.answers.get(kind) ?? 0) + 1);
    return outcome;
  }
}

describeWithHaproxy('two replicas behind the load balancer', () => {
  let apps: App[];
  let haproxy: Haproxy;
  let buyer: UserClient;
  let productId: string;
  beforeAll(async () => {
    const ports = [await freePort(), await freePort()];
    const first = await startApp({ ...SETTINGS, PORT: String(ports[0]) });
    apps = [first, await startApp({ ...SETTINGS, PORT: String(ports[1]), DATABASE_URL: first.databaseUrl })];
    haproxy = await Haproxy.before(ports);
    buyer = await first.register();
    productId = (await first.product({ stock: 1_000_000 })).id;
  });
  afterAll(async () => {
    await haproxy?.stop();
    // Nobody is left who would have to notice.
    for (const app of [...(apps ?? [])].reverse()) await app.kill();
    for (const app of [...(apps ?? [])].reverse()) await app.stop();
  });

  it(`are restarted ${RESTARTS} times, one after the other, and no request fails`, async () => {
    const shoppers = new Shoppers(haproxy.url, buyer.token!, productId, 8);
    try {
      for (let restart = 0; restart < RESTARTS; restart++) {
        await sleep(1000);
        await apps[restart % 2]!.restart();
        await haproxy.finds(2);
      }
    } finally {
      await shoppers.stop();
    }
    expect([...shoppers.answers.keys()].sort()).toEqual(['GET 200', 'POST 201']);
    const [row] = await apps[0]!.sql('SELECT count(*)::int AS count FROM orders');
    expect(row).toEqual({ count: shoppers.orders });
  });

  it('lose one by a crash, and nothing that it may have done is done twice', async () => {
    const ids = [(await apps[0]!.product()).id, (await apps[0]!.product()).id] as const;
    // With this a commit takes a while, so that the replica dies between the effect and the answer.
    await apps[0]!.sql(`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_sleep(2); RETURN NULL; END'`);
    await apps[0]!.sql(`CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION dawdle()`);
    const order = async (note: string, id: string) => {
      const answer = await fetch(`${haproxy.url}/api/v1/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${buyer.token!}` },
        body: JSON.stringify({ items: [{ productId: id, quantity: 1 }], note }),
      });
      await answer.text();
      return answer.status;
    };
    const commits = async (count: number) => {
      const committing = `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'`;
      while ((await apps[0]!.sql(committing)).length < count) await sleep(20);
    };
    // The second goes to the replica that has less to do. Of two at the same moment one replica may get both.
    await haproxy.finds(2);
    const one = order('one', ids[0]);
    await commits(1);
    const other = order('other', ids[1]);
    await commits(2);
    await apps[0]!.kill();
    const statuses = await Promise.all([one, other]);
    await apps[0]!.sql('DROP FUNCTION dawdle CASCADE');
    await apps[0]!.start();
    const placed = await apps[0]!.sql(
      `SELECT note, count(*)::int AS count FROM orders WHERE note IN ('one', 'other') GROUP BY note ORDER BY note`,
    );
    expect({ statuses: statuses.sort(), placed }).toEqual({
      statuses: [201, 502],
      placed: [
        { note: 'one', count: 1 },
        { note: 'other', count: 1 },
      ],
    });
  });
});

describe('a server that ends', () => {
  let app: App;
  beforeEach(async () => {
    app = await startApp({
      SHUTDOWN_TIMEOUT: '2',
      // Defects, from outside.
      ...planted(`
        process.on('SIGUSR2', () => { throw new Error('planted'); });
        process.on('SIGWINCH', () => { void Promise.reject(new Error('planted')); });`),
    });
  });
  afterEach(() => app.stop());

  /** A request that waits for a row which somebody else has locked, until they let go of it. */
  async function waiting(client: Client): Promise<{ answer: Promise<{ status: number }>; letGo: () => Promise<void> }> {
    const { id } = await app.product({ stock: 5 });
    const holder = await app.hold('SELECT FROM products WHERE id = $1 FOR UPDATE', [id]);
    const answer = client.post('/orders', { items: [{ productId: id, quantity: 1 }] });
    await holder.somebodyWaits();
    return { answer, letGo: () => holder.letGo() };
  }

  it.each([
    ['an exception', 'uncaughtException', 'SIGUSR2'],
    ['a rejection', 'unhandledRejection', 'SIGWINCH'],
  ] as const)(
    'by %s that nobody catches says so, finishes what is in work, and exits with 1',
    async (_, __, signal) => {
      const user = await app.register();
      const { answer, letGo } = await waiting(user);
      const ended = app.ended();
      app.signal(signal);
      const [line] = await app.logged(({ level }) => level === 'fatal');
      expect(line).toMatchObject({ err: { message: 'planted', stack: expect.stringContaining('planted') } });
      await letGo();
      dataOf((await answer) as never, 201);
      expect(await ended).toBe(1);
    },
  );

  it('does so at the latest when its time is up', async () => {
    const user = await app.register();
    const { answer, letGo } = await waiting(user);
    const lost = expect(answer).rejects.toThrow();
    const start = Date.now();
    const took = stopwatch();
    app.signal('SIGTERM');
    expect(await app.ended()).toBe(1);
    expect(Date.now() - start).toBeGreaterThan(1900);
    expect(took()).toBeLessThan(6000);
    await lost;
    await letGo();
  });
});
