import {
  type Answer,
  type App,
  type Client,
  dataOf,
  failureOf,
  fieldsOf,
  NOTHING,
  startApp,
  type UserClient,
} from './app.js';

describe('orders', () => {
  let app: App;
  let buyer: UserClient;
  let moderator: UserClient;
  beforeAll(async () => {
    app = await startApp();
    buyer = await app.register('Ben Buyer');
    moderator = await app.moderator();
  });
  afterAll(() => app?.stop());

  const order = (client: Client, ...items: [productId: string, quantity: number][]): Promise<Answer> =>
    client.post('/orders', { items: items.map(([productId, quantity]) => ({ productId, quantity })) });
  const place = async (client: Client, productId: string, quantity = 1) =>
    dataOf(await order(client, [productId, quantity]), 201);
  const stockOf = async (id: string) => dataOf(await moderator.get(`/products/${id}`)).stock;
  const balanceOf = async (id: string) => dataOf(await moderator.get(`/accounts/${id}`)).balance;

  describe('placing', () => {
    it('takes the stock and copies name and price', async () => {
      const [mug, plate] = [
        await app.product({ name: 'Mug', price: 1000 }),
        await app.product({ name: 'Plate', price: 250 }),
      ];
      const items = [
        { productId: plate.id, quantity: 2 },
        { productId: mug.id, quantity: 3 },
      ];
      const answer = await buyer.post('/orders', { items, note: 'Ring twice', metadata: { campaign: 'spring' } });
      const placed = dataOf(answer, 201);
      expect(placed).toMatchObject({ userId: buyer.id, status: 'pending', currency: 'EUR', total: 3500, version: 1 });
      expect(placed).toMatchObject({ note: 'Ring twice', metadata: { campaign: 'spring' } });
      expect(placed.items).toMatchObject([
        { productId: plate.id, sku: plate.sku, name: 'Plate', quantity: 2, unitPrice: 250, total: 500 },
        { productId: mug.id, sku: mug.sku, name: 'Mug', quantity: 3, unitPrice: 1000, total: 3000 },
      ]);
      expect(Date.parse(placed.expiresAt) - Date.parse(placed.createdAt)).toBe(1_800_000);
      expect(answer.headers.get('location')).toBe(`/api/v1/orders/${placed.id}`);
      expect([await stockOf(mug.id), await stockOf(plate.id)]).toEqual([7, 8]);

      dataOf(await moderator.patch(`/products/${mug.id}`, { name: 'Better mug', price: 9999 }));
      expect(dataOf(await buyer.get(`/orders/${placed.id}`))).toEqual(placed);
    });

    it('takes all of it or nothing', async () => {
      const [plenty, scarce] = [await app.product({ stock: 10 }), await app.product({ stock: 2 })];
      const answer = await order(buyer, [plenty.id, 5], [scarce.id, 3]);
      expect(failureOf(answer)).toBe('409 INSUFFICIENT_STOCK');
      expect(answer.body.error.details).toHaveLength(1);
      expect(answer.body.error.details[0].field).toMatch(/^items\[1\]/);
      expect(Object.values(answer.body.error.details[0])).toContain(2); // what is left
      expect([await stockOf(plenty.id), await stockOf(scarce.id)]).toEqual([10, 2]);
    });

    it('sells the last piece once', async () => {
      const buyers = await Promise.all(['One', 'Two', 'Three', 'Four'].map((name) => app.register(name)));
      const { id } = await app.product({ stock: 1 });
      const answers = await Promise.all(buyers.map((client) => order(client, [id, 1])));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
      expect(answers.filter(({ status }) => status === 409).map(failureOf)).toContain('409 INSUFFICIENT_STOCK');
      expect(await stockOf(id)).toBe(0);
    });

    it('does not deadlock when two buy the same things in opposite order', async () => {
      const [one, two] = [await app.product({ stock: 100 }), await app.product({ stock: 100 })];
      const orders = Array.from({ length: 20 }, (_, n) =>
        n % 2 ? order(buyer, [one.id, 1], [two.id, 1]) : order(buyer, [two.id, 1], [one.id, 1]),
      );
      expect((await Promise.all(orders)).filter(({ status }) => status !== 201)).toEqual([]);
      expect([await stockOf(one.id), await stockOf(two.id)]).toEqual([80, 80]);
    });

    it('names the item that is wrong', async () => {
      const [mug, dollars] = [await app.product(), await app.product({ currency: 'USD' })];
      const draft = await app.product({ status: 'draft' });
      const refused = async (answer: Promise<Answer>) => {
        expect((await answer).status).toBe(422);
        return fieldsOf(await answer);
      };
      expect(await refused(order(buyer, [mug.id, 1], [NOTHING, 1]))).toEqual(['items[1].productId']);
      expect(await refused(order(buyer, [draft.id, 1]))).toEqual(['items[0].productId']);
      expect(await refused(order(buyer, [mug.id, 0]))).toEqual(['items[0].quantity']);
      expect(await refused(order(buyer, [mug.id, 10_001]))).toEqual(['items[0].quantity']);
      expect(await refused(order(buyer, [mug.id, 1], [mug.id, 1]))).toEqual([expect.stringMatching(/^items/)]);
      expect(await refused(order(buyer, [mug.id, 1], [dollars.id, 1]))).toEqual([expect.stringMatching(/^items/)]);
      expect(await refused(order(buyer))).toEqual(['items']);
      expect(await refused(buyer.post('/orders', { items: [7] }))).toEqual([expect.stringMatching(/^items\[0\]/)]);
      expect(await refused(buyer.post('/orders', { items: [null] }))).toEqual(['items[0]']);
      expect(await refused(buyer.post('/orders', { items: [[{ productId: mug.id, quantity: 1 }]] }))).toEqual([
        'items',
      ]);
      expect(
        await refused(buyer.post('/orders', { items: [{ productId: mug.id, quantity: 1, unitPrice: 1 }] })),
      ).toEqual(['items[0].unitPrice']);
      expect(await stockOf(mug.id)).toBe(10);
    });

    it.each(['total', 'status', 'userId', 'currency', 'expiresAt'])('lets nobody set %s', async (field) => {
      const { id } = await app.product();
      const answer = await buyer.post('/orders', { items: [{ productId: id, quantity: 1 }], [field]: 1 });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual([field]);
    });

    it('refuses a total that no JSON number carries', async () => {
      const { id } = await app.product({ price: 9_007_199_254_740_991 });
      expect((await order(buyer, [id, 2])).status).toBe(422);
      expect(await stockOf(id)).toBe(10);
    });
  });

  describe('paying', () => {
    it('moves the money and the status together', async () => {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 5000);
      const { id } = await place(ann, (await app.product({ price: 1000 })).id, 3);
      const answer = await ann.post(`/orders/${id}/payments`, { accountId });
      const payment = dataOf(answer, 201);
      expect(payment).toMatchObject({ orderId: id, amount: 3000, currency: 'EUR' });
      expect(answer.headers.get('location')).toBe(`/api/v1/orders/${id}`);
      expect(dataOf(await ann.get(`/orders/${id}`))).toMatchObject({ status: 'paid', version: 2 });
      expect(await balanceOf(accountId)).toBe(2000);
      expect(dataOf(await ann.get(`/transfers/${payment.transferId}`))).toMatchObject({ amount: 3000 });
    });

    it('happens once', async () => {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 5000);
      const { id } = await place(ann, (await app.product()).id);
      const pay = () => ann.post(`/orders/${id}/payments`, { accountId });
      const answers = await Promise.all([pay(), pay(), pay()]);
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
      const again = await pay();
      expect(failureOf(again)).toBe('409 INVALID_TRANSITION');
      expect(again.body.error.details).toEqual([{ from: 'paid', to: 'paid', allowed: expect.any(Array) }]);
      expect(await balanceOf(accountId)).toBe(4000);
    });

    it('needs the money', async () => {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 999);
      const { id } = await place(ann, (await app.product({ price: 1000 })).id);
      expect(failureOf(await ann.post(`/orders/${id}/payments`, { accountId }))).toBe('422 INSUFFICIENT_FUNDS');
      expect(dataOf(await ann.get(`/orders/${id}`)).status).toBe('pending');
      expect(await balanceOf(accountId)).toBe(999);
    });

    it('needs the order’s currency, and an account of one’s own', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      const { id } = await place(ann, (await app.product()).id);
      const pay = (accountId: string, client: Client = ann) => client.post(`/orders/${id}/payments`, { accountId });
      expect(failureOf(await pay(await app.funded(ann, 5000, 'USD')))).toBe('422 CURRENCY_MISMATCH');
      const bobs = await app.funded(bob, 5000);
      expect(failureOf(await pay(bobs))).toBe('403 FORBIDDEN');
      expect(failureOf(await pay(bobs, bob))).toBe('403 FORBIDDEN');
      expect(failureOf(await pay(bobs, moderator))).toBe('403 FORBIDDEN');
      expect(failureOf(await pay(NOTHING))).toBe('422 VALIDATION_ERROR');
      expect(failureOf(await ann.post(`/orders/${NOTHING}/payments`, { accountId: bobs }))).toBe('404 NOT_FOUND');
    });
  });

  describe('reading', () => {
    it('is for the owner and for moderators', async () => {
      const ann = await app.register('Ann');
      const placed = await place(ann, (await app.product()).id);
      expect(dataOf(await moderator.get(`/orders/${placed.id}`))).toEqual(placed);
      expect(failureOf(await buyer.get(`/orders/${placed.id}`))).toBe('403 FORBIDDEN');
      expect(failureOf(await app.anonymous.get(`/orders/${placed.id}`))).toBe('401 UNAUTHORIZED');
      expect(failureOf(await ann.get(`/orders/${NOTHING}`))).toBe('404 NOT_FOUND');
      expect(failureOf(await ann.get('/orders/1'))).toBe('422 VALIDATION_ERROR');
    });

    it('lists one’s own, and everybody’s to moderators', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      const { id: productId } = await app.product();
      const [first, second] = [await place(ann, productId, 1), await place(ann, productId, 2)];
      await place(bob, productId);
      expect(dataOf(await ann.get('/orders'))).toEqual([second, first]);
      expect(dataOf(await ann.get(`/orders?userId=${ann.id}`))).toHaveLength(2);
      expect(failureOf(await ann.get(`/orders?userId=${bob.id}`))).toBe('403 FORBIDDEN');
      expect(dataOf(await moderator.get(`/orders?userId=${ann.id}&sortOrder=asc`))).toEqual([first, second]);
      expect(dataOf(await moderator.get(`/users/${ann.id}/orders`))).toEqual([second, first]);
      expect(failureOf(await bob.get(`/users/${ann.id}/orders`))).toBe('403 FORBIDDEN');
      expect(dataOf(await moderator.get('/orders?limit=100')).length).toBeGreaterThan(2);
      expect(dataOf(await ann.get('/orders?minTotal=2000'))).toEqual([second]);
      expect(dataOf(await ann.get('/orders?maxTotal=1000&status=pending&currency=EUR'))).toEqual([first]);
      expect(dataOf(await ann.get(`/orders?createdTo=${first.createdAt}`))).toEqual([]);
      expect(dataOf(await ann.get('/orders?status=paid'))).toEqual([]);
    });
  });

  describe('changing', () => {
    it('is possible while it is pending, for note and metadata', async () => {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 1000);
      const { id } = await place(ann, (await app.product({ price: 1000 })).id);
      const change = (body: object, client: Client = ann) => client.patch(`/orders/${id}`, body);
      expect(dataOf(await change({ note: 'Later', metadata: { a: 'b' } }))).toMatchObject({
        note: 'Later',
        metadata: { a: 'b' },
        version: 2,
      });
      expect(failureOf(await change({ note: 'Mine' }, buyer))).toBe('403 FORBIDDEN');
      expect(fieldsOf(await change({ status: 'paid' }))).toEqual(['status']);
      dataOf(await ann.post(`/orders/${id}/payments`, { accountId }), 201);
      expect((await change({ note: 'Too late' })).status).toBe(409);
    });
  });

  describe('paging', () => {
    let ann: UserClient;
    let all: string[];
    beforeAll(async () => {
      ann = await app.register('Ann');
      const { id } = await app.product({ stock: 100 });
      for (let n = 0; n < 13; n++) await place(ann, id);
      // One transaction can write many rows in the same millisecond: ties in every field that is sorted by.
      await app.sql('UPDATE orders SET created_at = $1 WHERE user_id = $2', ['2026-01-01T00:00:00Z', ann.id]);
      all = (await app.sql('SELECT id FROM orders WHERE user_id = $1', [ann.id]))
        .map(({ id: each }) => String(each))
        .sort();
    });

    const walk = async (query: string, between?: () => Promise<unknown>): Promise<string[]> => {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const answer: Answer = await ann.get(`/orders?${query}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
        seen.push(...dataOf(answer).map(({ id }: any) => id));
        const { nextCursor, hasNext } = answer.body.meta.pagination;
        expect(hasNext).toBe(nextCursor !== null);
        cursor = nextCursor;
        await between?.();
      }
      return seen;
    };

    it.each(['createdAt', 'updatedAt', 'total'])('a walk by %s sees every row once, up and down', async (sortBy) => {
      const up = await walk(`limit=4&sortBy=${sortBy}&sortOrder=asc`);
      expect([...up].sort()).toEqual(all);
      expect(await walk(`limit=5&sortBy=${sortBy}&sortOrder=desc`)).toEqual(up.reverse());
    });

    it('sees every row once while others are added', async () => {
      const { id } = await app.product({ stock: 100 });
      const added: string[] = [];
      const seen = await walk('limit=3', async () => added.push((await place(ann, id)).id));
      expect(seen.filter((each) => !added.includes(each)).sort()).toEqual(all);
      expect(new Set(seen).size).toBe(seen.length);
      for (const table of ['order_items', 'order_status_changes']) {
        await app.sql(`DELETE FROM ${table} WHERE order_id = ANY($1)`, [added]);
      }
      await app.sql('DELETE FROM orders WHERE id = ANY($1)', [added]);
    });

    it('ends exactly at a full page', async () => {
      const { pagination } = (await ann.get('/orders?limit=13')).body.meta;
      expect(pagination).toEqual({ limit: 13, nextCursor: null, hasNext: false });
    });

    it('a cursor is good for its own list alone', async () => {
      const cursor = (await ann.get('/orders?limit=2')).body.meta.pagination.nextCursor;
      dataOf(await ann.get(`/orders?limit=50&cursor=${cursor}`));
      const refused = [
        await ann.get(`/orders?sortOrder=asc&cursor=${cursor}`),
        await ann.get(`/orders?sortBy=total&cursor=${cursor}`),
        await ann.get(`/orders?status=pending&cursor=${cursor}`),
        await buyer.get(`/orders?cursor=${cursor}`),
        await ann.get(`/accounts?cursor=${cursor}`),
        await ann.get(`/orders?cursor=${cursor.slice(0, -3)}AAA`),
        await ann.get('/orders?cursor=nonsense'),
      ];
      expect(refused.map(failureOf)).toEqual(refused.map(() => '400 INVALID_CURSOR'));
      expect(failureOf(await ann.get(`/orders?page=1&cursor=${cursor}`))).toBe('422 VALIDATION_ERROR');
    });

    it('by numbered pages sees every row once too', async () => {
      const pages = await Promise.all([1, 2, 3].map((page) => ann.get(`/orders?page=${page}&limit=5`)));
      expect(pages.flatMap((page) => dataOf(page).map(({ id }: any) => id)).sort()).toEqual(all);
      expect(pages.map((page) => page.body.meta.pagination)).toEqual([
        { page: 1, limit: 5, total: 13, totalPages: 3, hasNext: true, hasPrev: false },
        { page: 2, limit: 5, total: 13, totalPages: 3, hasNext: true, hasPrev: true },
        { page: 3, limit: 5, total: 13, totalPages: 3, hasNext: false, hasPrev: true },
      ]);
      expect(dataOf(await ann.get('/orders?page=9'))).toEqual([]);
      expect(failureOf(await ann.get('/orders?page=101&limit=100'))).toBe('422 VALIDATION_ERROR');
    });
  });
});
