import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type App, dataOf, failureOf, fieldsOf, startApp, type UserClient } from './app.js';

describe('the event feed', () => {
  let app: App;
  let admin: UserClient;
  const clients: pg.Client[] = [];
  beforeAll(async () => {
    app = await startApp({ EVENTS_RETENTION_DAYS: '30' });
    admin = await app.admin();
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await app?.stop();
  });

  const get = (query = '', cursor?: string) =>
    admin.get(`/events?${query}${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
  /** Reads on from a cursor as long as there is something. */
  const follow = async (cursor?: string, query = 'limit=7') => {
    const events: any[] = [];
    for (;;) {
      const answer = await get(query, cursor);
      events.push(...dataOf(answer));
      cursor = answer.body.meta.pagination.nextCursor as string;
      expect(cursor).toEqual(expect.any(String));
      if (!answer.body.meta.pagination.hasNext) return { events, cursor };
    }
  };
  /** What still runs in the same database holds the feed back for a moment: it is asked until it is there. */
  const followUntil = async (isThere: (events: any[]) => boolean, cursor?: string, query?: string) => {
    for (const deadline = Date.now() + 20_000; ; await sleep(100)) {
      const { events, cursor: next } = await follow(cursor, query);
      if (isThere(events)) return { events, cursor: next };
      if (Date.now() > deadline) throw new Error(`Not in the feed: ${JSON.stringify(events)}`);
    }
  };
  /** All that has been written down so far. */
  const followToTheEnd = async () => {
    const [{ count } = {}] = await app.sql('SELECT count(*)::int AS count FROM events');
    return followUntil((all) => all.length >= Number(count));
  };
  const connect = async (url = app.databaseUrl) => {
    const client = new pg.Client(url);
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const write = (client: pg.Client, id: string, resourceId = id) =>
    client.query(
      `INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
       SELECT $1, 'product.updated', $2, 1, '{}', now(), pg_current_xact_id()::text::bigint + transaction_offset
         FROM event_feed`,
      [id, resourceId],
    );
  const idsOf = (events: any[]) => events.map(({ id }) => id);

  it('tells what happened, the oldest first, with the resource as the API shows it', async () => {
    const { cursor } = await followToTheEnd();
    const ann = await app.register('Ann');
    const product = await app.product({ price: 500, stock: 3 });
    const accountId = await app.funded(ann, 500);
    const placed = dataOf(await ann.post('/orders', { items: [{ productId: product.id, quantity: 1 }] }), 201);
    const payment = dataOf(await ann.post(`/orders/${placed.id}/payments`, { accountId }), 201);
    const order = dataOf(await ann.get(`/orders/${placed.id}`));
    const transfer = dataOf(await ann.get(`/transfers/${payment.transferId}`));

    const { events } = await followUntil((all) => all.some(({ type }) => type === 'order.paid'), cursor);
    expect(events.map(({ type, resourceId, sequence }) => [type, resourceId, sequence])).toEqual([
      ['user.created', ann.id, 1],
      ['product.created', product.id, 1],
      ['transfer.created', expect.any(String), 1],
      ['order.created', placed.id, 1],
      ['transfer.created', payment.transferId, 1],
      ['order.paid', placed.id, 2],
    ]);
    const dataOfType = (type: string) => events.filter((event) => event.type === type).at(-1).data;
    expect(dataOfType('user.created')).toEqual(ann.user);
    expect(dataOfType('product.created')).toEqual(product);
    expect(dataOfType('order.created')).toEqual(placed);
    expect(dataOfType('order.paid')).toEqual(order);
    expect(dataOfType('transfer.created')).toEqual(transfer);
  });

  it('is for admins', async () => {
    expect(failureOf(await (await app.moderator()).get('/events'))).toBe('403 FORBIDDEN');
    expect(failureOf(await app.anonymous.get('/events'))).toBe('401 UNAUTHORIZED');
  });

  it('can be followed from the end, by type too, and by numbered pages', async () => {
    const type = 'type=product.deleted';
    const nothing = await get(type);
    expect(dataOf(nothing)).toEqual([]);
    expect(nothing.body.meta.pagination).toEqual({ limit: 20, nextCursor: expect.any(String), hasNext: false });
    const cursor = nothing.body.meta.pagination.nextCursor;

    const deleted: string[] = [];
    for (let n = 0; n < 3; n++) {
      const { id } = await app.product();
      expect((await admin.delete(`/products/${id}`)).status).toBe(204);
      deleted.push(id);
    }
    const { events, cursor: end } = await followUntil((all) => all.length === 3, cursor, `${type}&limit=2`);
    expect(events.map(({ resourceId }) => resourceId)).toEqual(deleted);
    expect(dataOf(await get(type, end))).toEqual([]);
    expect((await get(type, end)).body.meta.pagination).toEqual({ limit: 20, nextCursor: end, hasNext: false });

    const page = await get(`${type}&page=2&limit=2`);
    expect(idsOf(dataOf(page))).toEqual(idsOf(events.slice(2)));
    expect(page.body.meta.pagination).toEqual({
      page: 2,
      limit: 2,
      total: 3,
      totalPages: 2,
      hasNext: false,
      hasPrev: true,
    });
    expect(idsOf(dataOf(await get(`${type}&sortOrder=desc`)))).toEqual(idsOf(events).reverse());
    expect(failureOf(await get('', cursor))).toBe('400 INVALID_CURSOR');
    expect(failureOf(await get('type=product.updated', cursor))).toBe('400 INVALID_CURSOR');
    expect(fieldsOf(await get('type=product.sold'))).toEqual(['type']);
  });

  it('numbers the events of a resource, stock adjustments among them, without a tie', async () => {
    const { cursor } = await followToTheEnd();
    const { id, version } = await app.product();
    for (let n = 0; n < 3; n++) {
      dataOf(await admin.post(`/products/${id}/stock-adjustments`, { delta: 1, reason: 'Found' }), 201);
      dataOf(await admin.patch(`/products/${id}`, { price: n }));
    }
    const { events } = await followUntil((all) => all.length === 7, cursor);
    expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(dataOf(await admin.get(`/products/${id}`)).version).toBe(Number(version) + 3);
  });

  it('misses nothing when a transaction that began early commits late', async () => {
    const { cursor } = await followToTheEnd();
    const [late, later] = [await connect(), await connect()];
    const [first, second] = ['01890000-0000-7000-8000-0000000000a1', '01890000-0000-7000-8000-0000000000a2'];
    await late.query('BEGIN');
    await write(late, first);
    await later.query('BEGIN');
    await later.query('SELECT pg_current_xact_id()'); // it has its place, and nothing to show yet
    const product = await app.product();

    // The product is committed, but what is still open would come before it.
    await sleep(300);
    expect(await follow(cursor)).toEqual({ events: [], cursor });
    expect((await get('type=product.created&page=1&limit=100')).text).not.toContain(product.id);

    await late.query('COMMIT');
    const one = await followUntil((all) => all.length > 0, cursor);
    expect(idsOf(one.events)).toEqual([first]);

    await write(later, second);
    await later.query('COMMIT');
    const two = await followUntil((all) => all.length > 1, one.cursor);
    expect(two.events.map(({ id, resourceId }) => (id === second ? second : resourceId))).toEqual([second, product.id]);
  });

  it('waits for no transaction of another database, though all of a server are counted together', async () => {
    const { cursor } = await followToTheEnd();
    const elsewhere = await connect(process.env.TEST_SERVER_URL);
    await elsewhere.query('BEGIN');
    await elsewhere.query('SELECT pg_current_xact_id()');
    const product = await app.product();
    const { events } = await followUntil((all) => all.length > 0, cursor);
    expect(events.map(({ resourceId }) => resourceId)).toEqual([product.id]);
    await elsewhere.query('ROLLBACK');
  });

  it('shows nothing of what was rolled back', async () => {
    const { cursor } = await followToTheEnd();
    const ann = await app.register('Ann');
    const { id: productId } = await app.product({ stock: 1 });
    await ann.post('/orders', { items: [{ productId, quantity: 2 }] });
    const { events } = await followUntil((all) => all.length >= 2, cursor);
    expect(events.map(({ type }) => type)).toEqual(['user.created', 'product.created']);
  });

  it('is seen whole by a reader while many write', async () => {
    const { cursor } = await followToTheEnd();
    const { id: productId } = await app.product({ stock: 1000 });
    const buyers = await Promise.all(['One', 'Two', 'Three'].map((name) => app.register(name)));
    const placed: string[] = [];
    let isWriting = true;
    const writing = Promise.all(
      buyers.map(async (buyer) => {
        for (let n = 0; n < 15; n++) {
          placed.push(dataOf(await buyer.post('/orders', { items: [{ productId, quantity: 1 }] }), 201).id);
        }
      }),
    ).finally(() => (isWriting = false));

    const seen: any[] = [];
    let at = cursor;
    const read = async () => {
      const { events, cursor: next } = await follow(at, 'limit=3');
      seen.push(...events);
      at = next;
    };
    while (isWriting) await read();
    await writing;
    for (const deadline = Date.now() + 20_000; seen.length < 49 && Date.now() < deadline; await sleep(50)) await read();
    const orders = seen.filter(({ type }) => type === 'order.created').map(({ resourceId }) => resourceId);
    expect([...orders].sort()).toEqual([...placed].sort());
    expect(idsOf((await follow(cursor, 'limit=100')).events)).toEqual(idsOf(seen));
  });

  it('goes on where it was after the data has moved to a PostgreSQL that counts from the beginning', async () => {
    const { events: before, cursor } = await followToTheEnd();
    // As if the transactions so far had been another cluster's, which had seen a million more.
    await app.sql('UPDATE events SET transaction_id = transaction_id + 1000000');
    await app.sql('UPDATE event_feed SET transaction_offset = -5');
    await app.restart();
    const { id } = await app.product();
    const { events } = await followUntil((all) => all.at(-1)?.resourceId === id);
    expect(idsOf(events).slice(0, -1)).toEqual(idsOf(before));
    const rows = await app.sql('SELECT transaction_offset FROM event_feed');
    await app.restart();
    expect(await app.sql('SELECT transaction_offset FROM event_feed')).toEqual(rows);
    // The test has moved what the cursor points at; a restore does not.
    expect((await follow(cursor)).events.at(-1).resourceId).toBe(id);
  });

  it('forgets what is older than the retention', async () => {
    const client = await connect();
    const idAt = (time: number) => {
      const digits = time.toString(16).padStart(12, '0');
      return `${digits.slice(0, 8)}-${digits.slice(8)}-7abc-8000-00000000000a`;
    };
    const days = 86_400_000;
    const [old, young] = [idAt(Date.now() - 31 * days), idAt(Date.now() - 29 * days)];
    await write(client, old);
    await write(client, young);
    await client.query(`SELECT graphile_worker.add_job('events.purge', '{}')`);
    const isThere = async (id: string) => (await app.sql('SELECT FROM events WHERE id = $1', [id])).length === 1;
    for (const deadline = Date.now() + 20_000; (await isThere(old)) && Date.now() < deadline;) await sleep(100);
    expect([await isThere(old), await isThere(young)]).toEqual([false, true]);
  });
});
