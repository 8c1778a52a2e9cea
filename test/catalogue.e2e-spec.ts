import { type App, type Client, dataOf, failureOf, fieldsOf, NOTHING, startApp, type UserClient } from './app.js';

describe('the catalogue', () => {
  let app: App;
  let nobody: Client;
  let moderator: UserClient;
  let user: UserClient;
  beforeAll(async () => {
    app = await startApp();
    nobody = app.anonymous;
    moderator = await app.moderator();
    user = await app.register();
  });
  afterAll(() => app?.stop());

  const namesOf = async (query: string, client: Client = nobody): Promise<string[]> =>
    dataOf(await client.get(`/products?${query}`)).map(({ name }: any) => name);

  it('is filled by moderators and read by everybody', async () => {
    const body = { sku: 'CUP-1', name: 'Cup', price: 1999, currency: 'EUR' };
    expect(failureOf(await user.post('/products', body))).toBe('403 FORBIDDEN');
    expect(failureOf(await nobody.post('/products', body))).toBe('401 UNAUTHORIZED');
    const answer = await moderator.post('/products', body);
    const draft = dataOf(answer, 201);
    expect(draft).toMatchObject({ ...body, description: '', stock: 0, status: 'draft', version: 1 });
    expect(answer.headers.get('location')).toBe(`/api/v1/products/${draft.id}`);

    for (const client of [nobody, user])
      expect(failureOf(await client.get(`/products/${draft.id}`))).toBe('404 NOT_FOUND');
    expect(dataOf(await moderator.get(`/products/${draft.id}`))).toEqual(draft);

    const active = dataOf(await moderator.patch(`/products/${draft.id}`, { status: 'active', description: 'Blue' }));
    expect(active).toMatchObject({ status: 'active', description: 'Blue', price: 1999, version: 2 });
    expect(dataOf(await nobody.get(`/products/${draft.id}`))).toEqual(active);
  });

  it('names a product by its sku once', async () => {
    const { sku } = await app.product();
    const answer = await moderator.post('/products', { sku, name: 'Copy', price: 1, currency: 'EUR' });
    expect(failureOf(answer)).toBe('409 CONFLICT');
    const other = await app.product();
    expect(failureOf(await moderator.patch(`/products/${other.id}`, { sku }))).toBe('409 CONFLICT');
  });

  it('replaces a product by PUT, but never its stock', async () => {
    const product = await app.product({ stock: 3, description: 'Old' });
    const body = { sku: product.sku, name: 'New name', price: 5, currency: 'USD' };
    const replaced = dataOf(await moderator.put(`/products/${product.id}`, body));
    expect(replaced).toMatchObject({ ...body, description: '', status: 'draft', stock: 3 });
    for (const answer of [
      await moderator.put(`/products/${product.id}`, { ...body, stock: 9 }),
      await moderator.patch(`/products/${product.id}`, { stock: 9 }),
    ]) {
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['stock']);
    }
  });

  it.each([
    ['price', -1],
    ['price', 1.5],
    ['price', '1000'],
    ['price', null],
    ['price', 9_007_199_254_740_992],
    ['currency', 'EURO'],
    ['currency', 'eur'],
    ['stock', -1],
    ['status', 'sold'],
    ['sku', ''],
    ['sku', 'x'.repeat(65)],
    ['name', 'x'],
    ['description', 'x'.repeat(5001)],
    ['version', 7],
  ])('refuses a product whose %s is %p', async (field, value) => {
    const body = { sku: `BAD-${Math.random()}`, name: 'Bad', price: 1, currency: 'EUR', [field]: value };
    const answer = await moderator.post('/products', body);
    expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
    expect(new Set(fieldsOf(answer))).toEqual(new Set([field]));
  });

  it('takes the greatest price that JSON carries', async () => {
    expect((await app.product({ price: 9_007_199_254_740_991 })).price).toBe(9_007_199_254_740_991);
    expect((await app.product({ price: 0 })).price).toBe(0);
  });

  it('is filtered, sorted and paged', async () => {
    for (const [name, price, stock] of [
      ['Dear CHF', 300, 0],
      ['Cheap CHF', 100, 1],
      ['Middle CHF', 200, 1],
    ] as const) {
      await app.product({ name, price, stock, currency: 'CHF' });
    }
    await app.product({ name: 'Hidden CHF', currency: 'CHF', status: 'archived' });
    expect(await namesOf('currency=CHF&sortBy=price&sortOrder=asc')).toEqual(['Cheap CHF', 'Middle CHF', 'Dear CHF']);
    expect(await namesOf('currency=CHF')).toEqual(['Middle CHF', 'Cheap CHF', 'Dear CHF']);
    expect(await namesOf('currency=CHF&sortBy=name&sortOrder=desc')).toEqual(['Middle CHF', 'Dear CHF', 'Cheap CHF']);
    expect(await namesOf('currency=CHF&minPrice=100&maxPrice=200&sortBy=price&sortOrder=asc')).toEqual([
      'Cheap CHF',
      'Middle CHF',
    ]);
    expect(await namesOf('currency=CHF&inStock=true&sortBy=name&sortOrder=asc')).toEqual(['Cheap CHF', 'Middle CHF']);
    expect(await namesOf('currency=CHF&inStock=false')).toEqual(['Dear CHF']);
    expect(await namesOf('currency=CHF&status=archived', moderator)).toEqual(['Hidden CHF']);
    expect(await namesOf('currency=CHF', moderator)).toHaveLength(4);
    expect(failureOf(await user.get('/products?status=draft'))).toBe('403 FORBIDDEN');

    const answer = await nobody.get('/products?currency=CHF&page=2&limit=2');
    expect(answer.body.meta.pagination).toEqual({
      page: 2,
      limit: 2,
      total: 3,
      totalPages: 2,
      hasNext: false,
      hasPrev: true,
    });
  });

  it('may be cached by anybody when nobody asked, and by nobody when somebody did', async () => {
    expect((await nobody.get('/products')).headers.get('cache-control')).toBe('public, max-age=30');
    expect((await user.get('/products')).headers.get('cache-control')).toBe('private, no-cache');
  });

  describe('stock', () => {
    it('is adjusted by moderators, and never below 0', async () => {
      const { id } = await app.product({ stock: 5 });
      const adjust = (delta: number, client: Client = moderator) =>
        client.post(`/products/${id}/stock-adjustments`, { delta, reason: 'Counted' });
      expect(failureOf(await adjust(1, user))).toBe('403 FORBIDDEN');
      expect(dataOf(await adjust(3), 201)).toMatchObject({ id, stock: 8, version: 1 });
      expect(dataOf(await adjust(-8), 201).stock).toBe(0);
      expect(failureOf(await adjust(-1))).toBe('409 INSUFFICIENT_STOCK');
      expect(dataOf(await nobody.get(`/products/${id}`)).stock).toBe(0);
      expect(failureOf(await moderator.post(`/products/${NOTHING}/stock-adjustments`, { delta: 1, reason: 'x' }))).toBe(
        '404 NOT_FOUND',
      );
    });

    it('loses no adjustment when many come at once', async () => {
      const { id } = await app.product({ stock: 0 });
      const adjust = () => moderator.post(`/products/${id}/stock-adjustments`, { delta: 2, reason: 'Delivery' });
      await Promise.all(Array.from({ length: 15 }, adjust));
      expect(dataOf(await nobody.get(`/products/${id}`)).stock).toBe(30);
    });
  });

  describe('deleting', () => {
    it('removes a product', async () => {
      const { id } = await app.product();
      expect(failureOf(await user.delete(`/products/${id}`))).toBe('403 FORBIDDEN');
      expect((await moderator.delete(`/products/${id}`)).status).toBe(204);
      expect(failureOf(await moderator.get(`/products/${id}`))).toBe('404 NOT_FOUND');
      expect(failureOf(await moderator.delete(`/products/${id}`))).toBe('404 NOT_FOUND');
    });

    it('archives one that an order names', async () => {
      const { id } = await app.product();
      dataOf(await user.post('/orders', { items: [{ productId: id, quantity: 1 }] }), 201);
      expect((await moderator.delete(`/products/${id}`)).status).toBe(204);
      expect(dataOf(await moderator.get(`/products/${id}`)).status).toBe('archived');
      expect(failureOf(await nobody.get(`/products/${id}`))).toBe('404 NOT_FOUND');
    });
  });
});
