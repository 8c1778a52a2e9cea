import { type App, dataOf, failureOf, NOTHING, startApp, type UserClient } from './app.js';

describe('versions', () => {
  let app: App;
  let ann: UserClient;
  beforeAll(async () => {
    app = await startApp();
    ann = await app.register('Ann Archer');
  });
  afterAll(() => app?.stop());

  const customer = (client: UserClient, id = client.id) => client.get(`/api/v2/users/${id}`);

  it('version 2 of a user adds what they ordered, and nothing else', async () => {
    const bare = dataOf(await customer(ann));
    expect(bare).toEqual({ ...ann.user, orderSummary: { count: 0, lastOrderAt: null, spent: [] } });

    const [mug, pot] = [await app.product({ price: 300 }), await app.product({ price: 50, currency: 'USD' })];
    const place = async (productId: string, quantity: number) =>
      dataOf(await ann.post('/orders', { items: [{ productId, quantity }] }), 201);
    const [first, second, third] = [await place(mug.id, 2), await place(mug.id, 1), await place(pot.id, 1)];
    const unpaid = await place(mug.id, 5);
    const [euros, dollars] = [await app.funded(ann, 10_000), await app.funded(ann, 10_000, 'USD')];
    for (const [{ id }, accountId] of [
      [first, euros],
      [second, euros],
      [third, dollars],
    ]) {
      dataOf(await ann.post(`/orders/${id}/payments`, { accountId }), 201);
    }

    const { orderSummary } = dataOf(await customer(ann));
    expect(orderSummary).toEqual({
      count: 4,
      lastOrderAt: unpaid.createdAt,
      spent: [
        { currency: 'EUR', amount: 900 },
        { currency: 'USD', amount: 50 },
      ],
    });
  });

  it('its ETag changes with them', async () => {
    const eve = await app.register('Eve');
    const first = await customer(eve);
    const tag = first.headers.get('etag')!;
    expect((await eve.get(`/api/v2/users/${eve.id}`, { 'if-none-match': tag })).status).toBe(304);
    const { id } = await app.product();
    dataOf(await eve.post('/orders', { items: [{ productId: id, quantity: 1 }] }), 201);
    expect((await eve.get(`/api/v2/users/${eve.id}`, { 'if-none-match': tag })).status).toBe(200);
    // The version in it is still good for a write.
    dataOf(await eve.patch(`/api/v2/users/${eve.id}`, { name: 'Evelyn' }, { 'if-match': tag }));
    expect((await eve.patch(`/users/${eve.id}`, { name: 'Eve' }, { 'if-match': tag })).status).toBe(412);
  });

  it('asks the same of who asks', async () => {
    const bob = await app.register('Bob');
    expect(failureOf(await customer(bob, ann.id))).toBe('403 FORBIDDEN');
    expect(failureOf(await customer(bob, NOTHING))).toBe('404 NOT_FOUND');
    expect(failureOf(await customer(bob, 'me-too'))).toBe('422 VALIDATION_ERROR');
    expect(failureOf(await app.anonymous.get(`/api/v2/users/${ann.id}`))).toBe('401 UNAUTHORIZED');
    expect(dataOf(await customer(await app.moderator(), ann.id)).id).toBe(ann.id);
    expect((await bob.delete(`/api/v2/users/${bob.id}`)).status).toBe(204);
    expect(failureOf(await customer(await app.admin(), bob.id))).toBe('404 NOT_FOUND');
  });

  it('version 1 says that it has a successor, and where', async () => {
    const answer = await ann.get(`/users/${ann.id}`);
    expect(answer.body.data).not.toHaveProperty('orderSummary');
    expect(answer.headers.get('deprecation')).toMatch(/^@\d{10}$/);
    const [, successor] = /^<([^>]+)>; rel="successor-version"$/.exec(answer.headers.get('link')!)!;
    expect(successor).toBe(`/api/v2/users/${ann.id}`);
    expect(dataOf(await ann.get(successor!)).orderSummary.count).toBeGreaterThanOrEqual(0);

    // Whatever it answers, and to whom.
    for (const [status, refused] of [
      [404, await ann.get(`/users/${NOTHING}`)],
      [422, await ann.get('/users/nobody')],
      [401, await app.anonymous.get(`/users/${ann.id}`)],
      [401, await app.anonymous.get(`/users/${ann.id}`, { authorization: 'Bearer none' })],
    ] as const) {
      const told = [refused.headers.get('deprecation'), refused.headers.get('link')];
      expect([refused.status, told.includes(null)]).toEqual([status, false]);
    }
    for (const path of [`/api/v2/users/${ann.id}`, '/users/me', '/products', `/users/${ann.id}/orders`]) {
      const { headers } = await ann.get(path);
      expect([headers.get('deprecation'), headers.get('link')]).toEqual([null, null]);
    }
  });

  it('every other route answers the same under both, with links of the version that was asked', async () => {
    const admin = await app.admin();
    const { paths } = (await app.anonymous.get('/openapi.json')).body;
    const gets = Object.keys(paths).filter((path) => path.startsWith('/api/v1/') && paths[path].get !== undefined);
    for (const path of gets.filter((each) => each !== '/api/v1/users/{id}')) {
      const first = path.replace(/\{\w+\}/g, NOTHING);
      const [one, two] = [await admin.get(first), await admin.get(first.replace('/v1/', '/v2/'))];
      const essence = ({ status, body, headers }: typeof one) => ({
        status,
        data: body.data,
        error: body.error,
        etag: headers.get('etag'),
      });
      expect([path, essence(two)]).toEqual([path, essence(one)]);
    }
    const me = dataOf(await ann.get('/api/v2/users/me'));
    expect(me).not.toHaveProperty('orderSummary');

    const { id: productId } = await app.product();
    const order = await ann.post('/api/v2/orders', { items: [{ productId, quantity: 1 }] });
    expect(order.headers.get('location')).toBe(`/api/v2/orders/${order.body.data.id}`);
    expect(dataOf(await ann.get(order.headers.get('location')!)).id).toBe(order.body.data.id);
  });

  it('there is no third, and what a path takes does not depend on the version', async () => {
    expect(failureOf(await ann.get('/api/v3/users/me'))).toBe('404 NOT_FOUND');
    expect(failureOf(await ann.get('/api/v0/users/me'))).toBe('404 NOT_FOUND');
    expect(failureOf(await ann.get('/api/users/me'))).toBe('404 NOT_FOUND');
    const allowed = async (version: number) =>
      (await ann.post(`/api/v${version}/users/${ann.id}`, {})).headers.get('allow');
    expect(await allowed(2)).toBe(await allowed(1));
    expect(await allowed(2)).toBe('DELETE, GET, HEAD, PATCH, PUT');
  });

  it('the document has all of version 1, and of version 2 what differs', async () => {
    const { paths } = (await app.anonymous.get('/openapi.json')).body;
    const second = Object.keys(paths).filter((path) => path.startsWith('/api/v2/'));
    expect(second).toEqual(['/api/v2/users/{id}']);
    expect(Object.keys(paths['/api/v2/users/{id}'])).toEqual(['get']);
  });
});
