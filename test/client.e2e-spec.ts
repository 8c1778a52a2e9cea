import { type Client, createClient, list, StoaError, type Tokens } from '../clients/typescript/src/index.js';
import { ADMIN, type App, PASSWORD, startApp } from './app.js';

/** What has to be there; the compiler then knows that it is. */
function some<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('There is nothing');
  return value;
}

describe('the TypeScript client', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app?.stop());

  const clientOf = (tokens?: Tokens): Client => createClient({ baseUrl: app.url, ...tokens });

  it('registers, looks around, orders and pays', async () => {
    const desk = await app.product({ name: 'Oak desk', price: 44_900, stock: 3 });
    const stoa = clientOf();

    const registered = await stoa.POST('/api/v1/auth/register', {
      body: { email: 'clara@example.com', name: 'Clara Client', password: PASSWORD },
    });
    stoa.setTokens(some(registered.data).data);
    const me = await stoa.GET('/api/v1/users/me');
    expect(some(me.data).data).toMatchObject({ email: 'clara@example.com', role: 'user', version: 1 });

    const found = await stoa.GET('/api/v1/products', { params: { query: { q: 'oak', inStock: true } } });
    expect(some(found.data).data.map(({ id, price }) => [id, price])).toContainEqual([desk.id, 44_900]);

    const placed = await stoa.POST('/api/v1/orders', {
      params: { header: { 'Idempotency-Key': 'clara-1' } },
      body: { items: [{ productId: desk.id, quantity: 2 }], metadata: { campaign: 'spring' } },
    });
    const order = some(placed.data).data;
    expect(order).toMatchObject({ status: 'pending', total: 89_800, currency: 'EUR' });

    const accountId = some((await stoa.POST('/api/v1/accounts', { body: { currency: 'EUR' } })).data).data.id;
    const bank = clientOf((await app.admin()).tokens);
    await bank.POST('/api/v1/deposits', { body: { accountId, amount: 100_000 } });
    const path = { id: order.id };
    const paid = await stoa.POST('/api/v1/orders/{id}/payments', { params: { path }, body: { accountId } });
    expect(some(paid.data).data).toMatchObject({ orderId: order.id, amount: 89_800 });
    const read = await stoa.GET('/api/v1/orders/{id}', { params: { path } });
    expect(some(read.data).data.status).toBe('paid');
  });

  it('knows failures by their code', async () => {
    const { data, error, response } = await clientOf().POST('/api/v1/auth/login', {
      body: { email: ADMIN.email, password: 'Wrong-Horse-7' },
    });
    expect([data, error?.error.code, response.status]).toEqual([undefined, 'INVALID_CREDENTIALS', 401]);
  });

  it('does not compile where the contract has something else', () => {
    const misuses = (stoa: Client) => [
      // @ts-expect-error There is no such route.
      stoa.GET('/api/v1/oders'),
      // @ts-expect-error The price is an integer.
      stoa.POST('/api/v1/products', { body: { sku: 'A', name: 'Mug', price: '19.99', currency: 'EUR' } }),
      // @ts-expect-error An order has items.
      stoa.POST('/api/v1/orders', { body: {} }),
      // @ts-expect-error This is one thing and no list.
      list(stoa, '/api/v1/users/me'),
    ];
    expect(misuses).toBeInstanceOf(Function);
  });

  it('walks through a list by its cursor, each entry once', async () => {
    for (let count = 0; count < 7; count++) await app.product({ currency: 'CHF' });
    const seen: string[] = [];
    for await (const { sku } of list(clientOf(), '/api/v1/products', { query: { currency: 'CHF', limit: 3 } })) {
      seen.push(sku);
    }
    expect(new Set(seen).size).toBe(7);
    expect(seen).toHaveLength(7);

    const walk = list(clientOf(), '/api/v1/orders');
    await expect(walk.next()).rejects.toMatchObject({ name: StoaError.name, code: 'UNAUTHORIZED', status: 401 });
  });

  describe('whose access token has expired', () => {
    let shortLived: App;
    beforeAll(async () => {
      shortLived = await startApp({ ACCESS_TOKEN_TTL: '2' });
    });
    afterAll(() => shortLived?.stop());

    it('renews it once for all that wait, and goes on', async () => {
      const { tokens } = await shortLived.register('Rita Renew');
      const told: Tokens[] = [];
      const sent: string[] = [];
      const stoa = createClient({
        baseUrl: shortLived.url,
        accessToken: tokens.accessToken,
        refreshToken: tokens.refreshToken,
        onTokens: (renewed) => told.push(renewed),
        fetch: (request) => {
          sent.push(new URL(request.url).pathname);
          return fetch(request);
        },
      });
      await new Promise((resolve) => setTimeout(resolve, 3100));

      const answers = await Promise.all([
        stoa.GET('/api/v1/users/me'),
        stoa.POST('/api/v1/accounts', { body: { currency: 'EUR' } }),
        stoa.POST('/api/v1/accounts', { body: { currency: 'USD' } }),
      ]);
      expect(answers.map(({ response }) => response.status)).toEqual([200, 201, 201]);
      expect(sent.filter((path) => path.endsWith('/auth/refresh'))).toHaveLength(1);
      expect(told).toHaveLength(1);
      expect(told[0]?.refreshToken).not.toBe(tokens.refreshToken);
    });

    it('answers 401 where the session has ended', async () => {
      const ended = await shortLived.register('Eddy Ended');
      await ended.post('/auth/logout');
      const stoa = createClient({ baseUrl: shortLived.url, ...ended.tokens });
      const { error, response } = await stoa.GET('/api/v1/users/me');
      expect([response.status, error?.error.code]).toEqual([401, 'TOKEN_REVOKED']);
    });
  });
});
