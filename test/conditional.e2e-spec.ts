import { type Answer, type App, type Client, dataOf, failureOf, NOTHING, startApp, type UserClient } from './app.js';

describe('conditional requests', () => {
  let app: App;
  let admin: UserClient;
  let ann: UserClient;
  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
    ann = await app.register('Ann Archer');
  });
  afterAll(() => app?.stop());

  const tagOf = ({ headers }: Answer): string => headers.get('etag')!;
  const order = async (productId: string) =>
    dataOf(await ann.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);

  /** One of each resource that has versions: how to read it, and two ways to write it. */
  const resources: [string, () => Promise<{ path: string; client: Client; put?: unknown; patch: unknown }>][] = [
    [
      'a user',
      async () => {
        const client = await app.register('Vera Version');
        const { email } = client.user;
        return { path: `/users/${client.id}`, client, put: { email, name: 'Vera' }, patch: { name: 'Vee' } };
      },
    ],
    [
      'a product',
      async () => {
        const { id } = await app.product();
        const put = { sku: `P-${id}`, name: 'Pot', price: 5, currency: 'EUR', status: 'active' };
        return { path: `/products/${id}`, client: admin, put, patch: { price: 6 } };
      },
    ],
    [
      'an order',
      async () => {
        const { id } = await order((await app.product()).id);
        return { path: `/orders/${id}`, client: ann, patch: { note: 'Ring twice' } };
      },
    ],
  ];

  it('tell one caller’s `/users/me` from another’s, of the same version', async () => {
    const [one, other] = [await app.register('One Caller'), await app.register('Other Caller')];
    const tag = tagOf(await one.get('/users/me'));
    expect((await one.get('/users/me', { 'if-none-match': tag })).status).toBe(304);
    expect(dataOf(await other.get('/users/me', { 'if-none-match': tag })).name).toBe('Other Caller');
    dataOf(await one.patch(`/users/${one.id}`, { name: 'Same Caller' }, { 'if-match': tag }));
  });

  describe.each(resources)('%s', (_, make) => {
    it('bears a strong ETag, and is 304 for who has it already', async () => {
      const { path, client } = await make();
      const first = await client.get(path);
      const tag = tagOf(first);
      expect(tag).toMatch(/^"[\x21\x23-\x7e]+"$/);
      expect(tagOf(await client.get(path))).toBe(tag);

      for (const known of [tag, `W/${tag}`, `"other", ${tag}`, '*', ` ${tag} ,"x"`]) {
        for (const cacheControl of ['no-cache', 'no-store', 'max-age=0']) {
          const answer = await client.get(path, { 'if-none-match': known, 'cache-control': cacheControl });
          expect([answer.status, answer.text, tagOf(answer)]).toEqual([304, '', tag]);
          expect(answer.headers.get('content-type')).toBeNull();
          expect(answer.headers.get('vary')).toBe(first.headers.get('vary'));
          expect(answer.headers.get('cache-control')).toBe(first.headers.get('cache-control'));
          expect(answer.headers.get('x-request-id')).not.toBeNull();
        }
      }
      for (const other of ['"other"', 'W/"0"', tag.slice(1, -1), '', '"']) {
        expect((await client.get(path, { 'if-none-match': other })).status).toBe(200);
      }
    });

    it('answers a HEAD like a GET, without the body', async () => {
      const { path, client } = await make();
      const get = await client.get(path);
      const head = (headers: Record<string, string> = {}) =>
        app.request('HEAD', path, { ...(client.token && { token: client.token }), headers });
      const answer = await head();
      expect([answer.status, answer.text, tagOf(answer)]).toEqual([200, '', tagOf(get)]);
      expect(answer.headers.get('content-length')).toBe(String(Buffer.byteLength(get.text)));
      expect((await head({ 'if-none-match': tagOf(get) })).status).toBe(304);
    });

    it('is changed by who has seen its last version, and by nobody else', async () => {
      const { path, client, put, patch } = await make();
      const first = tagOf(await client.get(path));
      const second = await client.patch(path, patch, { 'if-match': first });
      expect(second.status).toBe(200);
      expect(tagOf(second)).not.toBe(first);
      expect(tagOf(await client.get(path))).toBe(tagOf(second));

      for (const stale of [first, `W/${tagOf(second)}`, '"other"', `${first}, "x"`]) {
        const answer = await client.patch(path, patch, { 'if-match': stale });
        expect(failureOf(answer)).toBe('412 PRECONDITION_FAILED');
        expect(answer.headers.get('etag')).toBeNull();
        if (put !== undefined) {
          expect(failureOf(await client.put(path, put, { 'if-match': stale }))).toBe('412 PRECONDITION_FAILED');
          expect(failureOf(await client.delete(path, { 'if-match': stale }))).toBe('412 PRECONDITION_FAILED');
        }
      }
      expect(tagOf(await client.get(path))).toBe(tagOf(second));
      expect((await client.patch(path, patch, { 'if-match': `${first}, ${tagOf(second)}` })).status).toBe(200);
      expect((await client.patch(path, patch, { 'if-match': '*' })).status).toBe(200);
      expect((await client.patch(path, patch)).status).toBe(200);
      if (put !== undefined) expect((await client.put(path, put, { 'if-match': '*' })).status).toBe(200);
    });

    it('refuses a header that can not be read, and a write for who has it none', async () => {
      const { path, client, patch } = await make();
      const tag = tagOf(await client.get(path));
      for (const bad of [tag.slice(1, -1), '', '"', `*, ${tag}`]) {
        expect(failureOf(await client.patch(path, patch, { 'if-match': bad }))).toBe('400 MALFORMED_REQUEST');
      }
      expect(failureOf(await client.patch(path, patch, { 'if-none-match': '*' }))).toBe('412 PRECONDITION_FAILED');
      expect(tagOf(await client.get(path))).toBe(tag);
    });

    it('is won by exactly one of two writers that saw the same version', async () => {
      const { path, client, patch } = await make();
      for (let round = 0; round < 5; round++) {
        const tag = tagOf(await client.get(path));
        const writers = Array.from({ length: 6 }, () => client.patch(path, patch, { 'if-match': tag }));
        const statuses = (await Promise.all(writers)).map(({ status }) => status).sort();
        expect(statuses).toEqual([200, 412, 412, 412, 412, 412]);
      }
    });

    it('is looked for, and its owner asked, before its version', async () => {
      const { path, patch } = await make();
      const stranger = await app.register('Sam Stranger');
      expect(failureOf(await stranger.patch(path, patch, { 'if-match': '"0"' }))).toBe('403 FORBIDDEN');
      const nowhere = path.replace(/[^/]+$/, NOTHING);
      expect(failureOf(await admin.patch(nowhere, patch, { 'if-match': '*' }))).toBe('404 NOT_FOUND');
    });
  });

  it('a new thing comes with the ETag that it is then read with', async () => {
    const product = await app.product({ status: 'active' });
    const placed = await ann.post('/orders', { items: [{ productId: product.id, quantity: 1 }] });
    expect(tagOf(placed)).toBe(tagOf(await ann.get(`/orders/${placed.body.data.id}`)));
    const body = { email: 'tagged@example.com', name: 'Tagged', password: 'Correct-Horse-7' };
    const user = await admin.post('/users', body);
    expect(tagOf(user)).toBe(tagOf(await admin.get(`/users/${user.body.data.id}`)));
  });

  it('what a product’s stock does changes its ETag, but not who may write it', async () => {
    const { id } = await app.product({ stock: 5 });
    const before = tagOf(await app.anonymous.get(`/products/${id}`));
    await order(id);
    const after = await app.anonymous.get(`/products/${id}`, { 'if-none-match': before });
    expect([after.status, after.body.data.stock, after.body.data.version]).toEqual([200, 4, 1]);
    expect(tagOf(after)).not.toBe(before);
    expect((await admin.patch(`/products/${id}`, { price: 7 }, { 'if-match': before })).status).toBe(200);
  });

  it('a payment changes the ETag of its order', async () => {
    const { id, total } = await order((await app.product()).id);
    const before = tagOf(await ann.get(`/orders/${id}`));
    const accountId = await app.funded(ann, total);
    dataOf(await ann.post(`/orders/${id}/payments`, { accountId }), 201);
    expect((await ann.get(`/orders/${id}`, { 'if-none-match': before })).status).toBe(200);
  });

  it('DELETE goes on with the version that is there', async () => {
    const { id } = await app.product();
    const path = `/products/${id}`;
    expect((await admin.delete(path, { 'if-match': tagOf(await admin.get(path)) })).status).toBe(204);
    const leaver = await app.register('Leo Leaver');
    const tag = tagOf(await leaver.get('/users/me'));
    expect((await leaver.delete(`/users/${leaver.id}`, { 'if-match': tag })).status).toBe(204);
  });

  it('a 304 of the catalogue may be kept like its 200', async () => {
    const { id } = await app.product();
    const first = await app.anonymous.get(`/products/${id}`);
    expect(first.headers.get('cache-control')).toBe('public, max-age=30');
    const again = await app.anonymous.get(`/products/${id}`, { 'if-none-match': tagOf(first) });
    expect([again.status, again.headers.get('cache-control')]).toEqual([304, 'public, max-age=30']);
    expect((await ann.get(`/products/${id}`)).headers.get('cache-control')).toBe('private, no-cache');
    const missing = await app.anonymous.get(`/products/${NOTHING}`);
    expect([missing.status, missing.headers.get('cache-control')]).toEqual([404, 'private, no-cache']);
  });
});
