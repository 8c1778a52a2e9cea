import { type App, type Client, cloneDatabase, dataOf, dropDatabase, startApp, type UserClient } from './app.js';
import { PostgresProxy } from './postgres-proxy.js';
import { until } from './until.js';

/** The most that any list or detail may take. What it takes does not grow with what it answers. */
const MOST = 6;

/** However many parameters a list of values has, it is one statement. */
const MANY = /\(\$\d+(, \$\d+)*\)/g;

/** The house has an account in each that somebody was given money in. */
const CURRENCIES = 'EUR USD GBP CHF SEK NOK DKK PLN CZK HUF RON BGN TRY JPY CNY INR AUD NZD CAD MXN BRL ZAR ILS'.split(
  ' ',
);

describe('the statements of a request', () => {
  let app: App;
  let proxy: PostgresProxy;
  let admin: UserClient;
  let buyer: UserClient;
  let [accountId, orderId, productId, transferId, webhookId, deliveryId] = Array<string>(6).fill('');
  let grown = -1;
  let databaseUrl: string;
  beforeAll(async () => {
    databaseUrl = await cloneDatabase();
    proxy = await PostgresProxy.start(databaseUrl);
    app = await startApp({ DATABASE_URL: proxy.gate.url, JOBS: 'off' });
    admin = await app.admin();
    buyer = await app.register('Ben Buyer');
    accountId = await app.funded(buyer, 1_000_000);
    [{ transferId }] = dataOf(await buyer.get(`/accounts/${accountId}/entries`));
    const webhook = { url: 'http://93.184.216.34/', eventTypes: ['order.paid'], enabled: false };
    webhookId = dataOf(await admin.post('/webhooks', webhook), 201).id;
    await grow();
    [{ id: orderId }] = dataOf(await buyer.get('/orders'));
    [{ id: productId }] = dataOf(await app.anonymous.get('/products'));
    [{ id: deliveryId }] = dataOf(await admin.get(`/webhooks/${webhookId}/deliveries`));
  });
  afterAll(async () => {
    await app?.stop();
    await proxy?.gate.close();
    await dropDatabase(databaseUrl);
  });

  /** One more of everything that lists show. */
  const grow = async (): Promise<void> => {
    const user = await app.register('Una User');
    const currency = CURRENCIES[++grown]!;
    await app.funded(user, 1, currency);
    const products = [await app.product({ name: 'Common mug' }), await app.product({ name: 'Common cup' })];
    const items = products.map(({ id }) => ({ productId: id, quantity: 1 }));
    const order = dataOf(await buyer.post('/orders', { items }), 201);
    dataOf(await buyer.post(`/orders/${order.id}/payments`, { accountId }), 201);
    await app.login(buyer.user.email);
    // What is made by others than a request.
    await app.sql(
      `INSERT INTO order_status_changes (id, order_id, version, to_status, created_at)
       SELECT gen_random_uuid(), id, $1, 'paid', now() FROM orders`,
      [grown + 100],
    );
    const url = 'http://93.184.216.34/';
    dataOf(await admin.post('/webhooks', { url, eventTypes: ['order.paid'], enabled: false }), 201);
    await app.sql(
      `INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, state, attempts, created_at)
       SELECT gen_random_uuid(), id, gen_random_uuid(), 'order.paid', 'delivered', 1, now() FROM webhooks`,
    );
  };

  const statementsOf = async (client: Client, path: string): Promise<{ rows: number; sent: string[] }> => {
    // Once before, so that what a replica remembers of earlier requests is remembered.
    dataOf(await client.get(path));
    const { result, statements } = await proxy.during(() => client.get(path));
    const data = dataOf(result);
    return { rows: Array.isArray(data) ? data.length : 1, sent: statements.map(({ sql }) => sql.replace(MANY, '(…)')) };
  };

  /** A GET of the document; lists are those that `grow` adds a row to. */
  type Get = [route: string, client: Client, path: string];
  const lists = (): Get[] => [
    ['/users', admin, '/users?limit=50'],
    ['/users', admin, '/users?limit=50&name=una&sortBy=name'],
    ['/users', admin, '/users?limit=50&page=1'],
    ['/products', app.anonymous, '/products?limit=50'],
    ['/products', app.anonymous, '/products?limit=50&q=common'],
    ['/products', app.anonymous, '/products?limit=50&q=comon&sortBy=price'],
    ['/orders', admin, '/orders?limit=50'],
    ['/orders', admin, '/orders?limit=50&include=user'],
    ['/orders', buyer, '/orders?limit=50'],
    ['/orders', buyer, '/orders?limit=50&page=1'],
    ['/users/{id}/orders', admin, `/users/${buyer.id}/orders?limit=50&include=user`],
    ['/orders/{id}/history', buyer, `/orders/${orderId}/history?limit=50`],
    ['/accounts', admin, '/accounts?limit=50'],
    ['/accounts/{id}/entries', buyer, `/accounts/${accountId}/entries?limit=50`],
    ['/auth/sessions', buyer, '/auth/sessions?limit=50'],
    ['/events', admin, '/events?limit=50'],
    ['/webhooks', admin, '/webhooks?limit=50'],
    ['/webhooks/{id}/deliveries', admin, `/webhooks/${webhookId}/deliveries?limit=50`],
    ['/jobs', admin, '/jobs?limit=50'],
    // Each currency is a row.
    ['/ledger/trial-balance', admin, '/ledger/trial-balance'],
  ];
  const details = (): Get[] => [
    ['/users/me', buyer, '/users/me'],
    ['/users/{id}', admin, `/users/${buyer.id}`],
    ['/api/v2/users/{id}', admin, `/api/v2/users/${buyer.id}`],
    ['/products/{id}', app.anonymous, `/products/${productId}`],
    ['/orders/{id}', buyer, `/orders/${orderId}`],
    ['/accounts/{id}', buyer, `/accounts/${accountId}`],
    ['/transfers/{id}', buyer, `/transfers/${transferId}`],
    ['/webhooks/{id}', admin, `/webhooks/${webhookId}`],
    ['/webhooks/{id}/deliveries/{deliveryId}', admin, `/webhooks/${webhookId}/deliveries/${deliveryId}`],
    ['/health', app.anonymous, '/health'],
    ['/health/live', app.anonymous, '/health/live'],
    ['/health/ready', app.anonymous, '/health/ready'],
    ['/.well-known/jwks.json', app.anonymous, '/.well-known/jwks.json'],
  ];

  it('are counted of every GET of the document', async () => {
    const { paths } = (await app.anonymous.get('/openapi.json')).body;
    const gets = Object.keys(paths).filter((path) => paths[path].get !== undefined);
    const counted = new Set([...lists(), ...details()].map(([route]) => route));
    expect([...counted].sort()).toEqual(gets.map((path) => path.replace('/api/v1', '')).sort());
  });

  it('are as many for 20 rows as for 1, and for much in them as for little', async () => {
    const gets = [...lists(), ...details()];
    const few: string[][] = [];
    for (const [, client, path] of gets) few.push((await statementsOf(client, path)).sent);
    for (let more = 0; more < 20; more++) await grow();
    // Other databases of the same PostgreSQL can hold the feed back for a moment.
    await until(async () => dataOf(await admin.get('/events?limit=50')).length === 50);
    const shown = new Set(lists().map(([, , path]) => path));
    for (const [index, [, client, path]] of gets.entries()) {
      const { rows, sent } = await statementsOf(client, path);
      if (shown.has(path)) expect([path, rows >= 20]).toEqual([path, true]);
      expect([path, sent]).toEqual([path, few[index]]);
      expect([path, sent.length <= MOST]).toEqual([path, true]);
    }
  });

  it('of an order are as many however much is in it', async () => {
    const order = async (many: number): Promise<string> => {
      const items = [];
      for (let n = 0; n < many; n++) items.push({ productId: (await app.product()).id, quantity: 1 });
      return dataOf(await buyer.post('/orders', { items }), 201).id;
    };
    const [one, twenty] = [await order(1), await order(20)];
    const small = (await statementsOf(buyer, `/orders/${one}`)).sent;
    expect((await statementsOf(buyer, `/orders/${twenty}`)).sent).toEqual(small);
  });
});
