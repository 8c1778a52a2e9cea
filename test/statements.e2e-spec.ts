import { type App, type Client, cloneDatabase, dataOf, dropDatabase, startApp, type UserClient } from './app.js';
import { PostgresProxy } from './postgres-proxy.js';

/** The most that any list or detail may take. What it takes does not grow with what it answers. */
const MOST = 6;

/** However many parameters a list of values has, it is one statement. */
const MANY = /\(\$\d+(, \$\d+)*\)/g;

describe('the statements of a request', () => {
  let app: App;
  let proxy: PostgresProxy;
  let admin: UserClient;
  let buyer: UserClient;
  let accountId: string;
  let databaseUrl: string;
  beforeAll(async () => {
    databaseUrl = await cloneDatabase();
    proxy = await PostgresProxy.start(databaseUrl);
    app = await startApp({ DATABASE_URL: proxy.url, JOBS: 'off' });
    admin = await app.admin();
    buyer = await app.register('Ben Buyer');
    accountId = await app.funded(buyer, 1_000_000);
  });
  afterAll(async () => {
    await app?.stop();
    await proxy?.stop();
    await dropDatabase(databaseUrl);
  });

  /** One more of everything that lists show. */
  const grow = async (): Promise<void> => {
    await app.register('Una User');
    const products = [await app.product({ name: 'Common mug' }), await app.product({ name: 'Common cup' })];
    const items = products.map(({ id }) => ({ productId: id, quantity: 1 }));
    const order = dataOf(await buyer.post('/orders', { items }), 201);
    dataOf(await buyer.post(`/orders/${order.id}/payments`, { accountId }), 201);
  };

  const statementsOf = async (client: Client, path: string): Promise<{ rows: number; sent: string[] }> => {
    // Once before, so that what a replica remembers of earlier requests is remembered.
    dataOf(await client.get(path));
    const { result, statements } = await proxy.during(() => client.get(path));
    const data = dataOf(result);
    return { rows: Array.isArray(data) ? data.length : 1, sent: statements.map(({ sql }) => sql.replace(MANY, '(…)')) };
  };

  it('of a list are as many for 20 rows as for 1', async () => {
    const lists: [Client, string][] = [
      [admin, '/users?limit=50'],
      [admin, '/users?limit=50&name=una&sortBy=name'],
      [admin, '/users?limit=50&page=1'],
      [app.anonymous, '/products?limit=50'],
      [app.anonymous, '/products?limit=50&q=common'],
      [app.anonymous, '/products?limit=50&q=comon&sortBy=price'],
      [admin, '/orders?limit=50'],
      [buyer, '/orders?limit=50'],
      [buyer, '/orders?limit=50&page=1'],
      [admin, `/users/${buyer.id}/orders?limit=50`],
      [buyer, `/accounts/${accountId}/entries?limit=50`],
    ];
    await grow();
    const few: string[][] = [];
    for (const [client, path] of lists) few.push((await statementsOf(client, path)).sent);
    for (let more = 0; more < 20; more++) await grow();
    for (const [index, [client, path]] of lists.entries()) {
      const { rows, sent } = await statementsOf(client, path);
      expect([path, rows >= 20]).toEqual([path, true]);
      expect([path, sent]).toEqual([path, few[index]]);
      expect([path, sent.length <= MOST]).toEqual([path, true]);
    }
  });

  it('of a detail are as many however much is in it', async () => {
    const order = async (many: number): Promise<string> => {
      const items = [];
      for (let n = 0; n < many; n++) items.push({ productId: (await app.product()).id, quantity: 1 });
      return dataOf(await buyer.post('/orders', { items }), 201).id;
    };
    const [one, twenty] = [await order(1), await order(20)];
    const small = (await statementsOf(buyer, `/orders/${one}`)).sent;
    expect((await statementsOf(buyer, `/orders/${twenty}`)).sent).toEqual(small);

    const { id: productId } = await app.product();
    const [entry] = dataOf(await buyer.get(`/accounts/${accountId}/entries`));
    for (const [client, path] of [
      [buyer, `/orders/${one}`],
      [buyer, '/users/me'],
      [admin, `/users/${buyer.id}`],
      [app.anonymous, `/products/${productId}`],
      [buyer, `/accounts/${accountId}`],
      [buyer, `/transfers/${entry.transferId}`],
    ] as const)
      expect([path, (await statementsOf(client, path)).sent.length <= MOST]).toEqual([path, true]);
  });
});
