import { type Answer, type App, type Client, dataOf, failureOf, fieldsOf, startApp, type UserClient } from './app.js';

describe('the life of an order', () => {
  let app: App;
  let ann: UserClient;
  let eve: UserClient;
  let moderator: UserClient;
  let accountId: string;
  beforeAll(async () => {
    app = await startApp();
    [ann, eve, moderator] = [await app.register('Ann'), await app.register('Eve'), await app.moderator()];
    accountId = await app.funded(ann, 1_000_000);
  });
  // Whatever happened above, no money was made or lost.
  afterAll(async () => {
    try {
      for (const row of dataOf(await (await app.admin()).get('/ledger/trial-balance'))) {
        expect(row).toMatchObject({ balanceTotal: 0, entriesTotal: 0 });
      }
    } finally {
      await app?.stop();
    }
  });

  const stockOf = async (id: string) => dataOf(await moderator.get(`/products/${id}`)).stock;
  const balanceOf = async (id: string) => dataOf(await moderator.get(`/accounts/${id}`)).balance;
  const orderOf = async (id: string) => dataOf(await moderator.get(`/orders/${id}`));
  const historyOf = async (id: string, client: Client = ann) => dataOf(await client.get(`/orders/${id}/history`));
  const place = async (price = 1000, quantity = 2) => {
    const product = await app.product({ price, stock: 10 });
    const order = dataOf(await ann.post('/orders', { items: [{ productId: product.id, quantity }] }), 201);
    return { id: order.id as string, productId: product.id as string };
  };
  const pay = (id: string, client: Client = ann) => client.post(`/orders/${id}/payments`, { accountId });
  const paid = async (price = 1000, quantity = 2) => {
    const placed = await place(price, quantity);
    dataOf(await pay(placed.id), 201);
    return placed;
  };
  const cancel = (client: Client, id: string, body: object = {}) => client.post(`/orders/${id}/cancellations`, body);
  const ship = (id: string, body: object = {}, client: Client = moderator) =>
    client.post(`/orders/${id}/shipments`, body);
  const deliver = (id: string, client: Client = moderator) => client.post(`/orders/${id}/deliveries`, {});
  const refund = (id: string, body: object = {}, client: Client = moderator) =>
    client.post(`/orders/${id}/refunds`, body);
  const transitionOf = (answer: Answer) => {
    expect(failureOf(answer)).toBe('409 INVALID_TRANSITION');
    return answer.body.error.details;
  };

  it('leads from placing to delivery, and is written down', async () => {
    const { id } = await paid();
    const shipment = await ship(id, { carrier: 'DHL', trackingNumber: '0034' });
    expect(dataOf(shipment, 201)).toMatchObject({ id, status: 'shipped', version: 3, expiresAt: null });
    expect(shipment.headers.get('location')).toBe(`/api/v1/orders/${id}`);
    expect(dataOf(await deliver(id), 201)).toMatchObject({ id, status: 'delivered', version: 4 });
    expect(await app.sql('SELECT carrier, tracking_number FROM shipments WHERE order_id = $1', [id])).toEqual([
      { carrier: 'DHL', tracking_number: '0034' },
    ]);
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const history = [
      { from: null, to: 'pending', by: ann.id, reason: null, at },
      { from: 'pending', to: 'paid', by: ann.id, reason: null, at },
      { from: 'paid', to: 'shipped', by: moderator.id, reason: null, at },
      { from: 'shipped', to: 'delivered', by: moderator.id, reason: null, at },
    ];
    expect(await historyOf(id)).toEqual(history);
    expect(await historyOf(id, moderator)).toEqual(history);
    expect(failureOf(await eve.get(`/orders/${id}/history`))).toBe('403 FORBIDDEN');

    const first = await ann.get(`/orders/${id}/history?limit=3`);
    expect(dataOf(first)).toEqual(history.slice(0, 3));
    const { nextCursor } = first.body.meta.pagination;
    expect(dataOf(await ann.get(`/orders/${id}/history?cursor=${nextCursor}`))).toEqual(history.slice(3));
    expect(dataOf(await ann.get(`/orders/${id}/history?sortOrder=desc&limit=1`))).toEqual(history.slice(3));
    expect((await ann.get(`/orders/${id}/history?page=1`)).body.meta.pagination.total).toBe(4);
  });

  it('goes where the table of transitions leads, and nowhere else', async () => {
    const { id } = await place();
    const allowed: Record<string, string[]> = {
      pending: ['paid', 'cancelled'],
      paid: ['shipped', 'cancelled', 'refunded'],
      shipped: ['delivered', 'refunded'],
      delivered: ['refunded'],
      refunded: [],
    };
    const moves: Record<string, () => Promise<Answer>> = {
      paid: () => pay(id),
      shipped: () => ship(id),
      delivered: () => deliver(id),
      cancelled: () => cancel(moderator, id),
      refunded: () => refund(id),
    };
    const way = ['pending', 'paid', 'shipped', 'delivered', 'refunded'];
    for (const [step, from] of way.entries()) {
      for (const to of Object.keys(moves).filter((each) => !allowed[from]!.includes(each))) {
        expect(transitionOf(await moves[to]!())).toEqual([{ from, to, allowed: allowed[from] }]);
      }
      const next = way[step + 1];
      if (next !== undefined) expect((await moves[next]!()).status).toBe(201);
    }
    const { id: other } = await place();
    dataOf(await cancel(ann, other), 201);
    expect(transitionOf(await pay(other))).toEqual([{ from: 'cancelled', to: 'paid', allowed: [] }]);
    expect(transitionOf(await cancel(ann, other))).toEqual([{ from: 'cancelled', to: 'cancelled', allowed: [] }]);
  });

  describe('cancelling', () => {
    it('puts the stock of a pending order back', async () => {
      const { id, productId } = await place();
      expect(await stockOf(productId)).toBe(8);
      expect(failureOf(await cancel(eve, id))).toBe('403 FORBIDDEN');
      const answer = await cancel(ann, id, { reason: 'Ordered twice' });
      expect(dataOf(answer, 201)).toMatchObject({ id, status: 'cancelled', version: 2, expiresAt: null });
      expect(answer.headers.get('location')).toBe(`/api/v1/orders/${id}`);
      expect(await stockOf(productId)).toBe(10);
      expect((await historyOf(id)).at(-1)).toMatchObject({
        from: 'pending',
        to: 'cancelled',
        by: ann.id,
        reason: 'Ordered twice',
      });
    });

    it('is for a moderator once it is paid, who gives the money back with it', async () => {
      const { id, productId } = await paid();
      const before = await balanceOf(accountId);
      expect(failureOf(await cancel(ann, id))).toBe('403 FORBIDDEN');
      dataOf(await refund(id, { amount: 500 }), 201);
      expect(dataOf(await cancel(moderator, id, { reason: 'Sold out' }), 201)).toMatchObject({ status: 'cancelled' });
      expect(await balanceOf(accountId)).toBe(Number(before) + 2000);
      expect(await stockOf(productId)).toBe(10);
      expect((await historyOf(id)).at(-1)).toMatchObject({ from: 'paid', to: 'cancelled', by: moderator.id });
      transitionOf(await refund(id));
    });

    it('happens once, whoever is first', async () => {
      const { id, productId } = await place();
      const answers = await Promise.all([cancel(ann, id), cancel(moderator, id), cancel(ann, id)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
      expect(await stockOf(productId)).toBe(10);
    });

    it('takes a body, of which each part may be left out', async () => {
      const { id } = await place();
      expect(failureOf(await ann.post(`/orders/${id}/cancellations`))).toBe('400 MALFORMED_REQUEST');
      expect(fieldsOf(await cancel(ann, id, { because: 'x' }))).toEqual(['because']);
      expect(fieldsOf(await cancel(ann, id, { reason: 'x'.repeat(501) }))).toEqual(['reason']);
      expect((await orderOf(id)).status).toBe('pending');
    });
  });

  describe('sending out', () => {
    it('is for moderators', async () => {
      const { id } = await paid();
      for (const answer of [await ship(id, {}, ann), await deliver(id, ann), await refund(id, {}, ann)]) {
        expect(failureOf(answer)).toBe('403 FORBIDDEN');
      }
      expect(fieldsOf(await ship(id, { carrier: 'x'.repeat(101) }))).toEqual(['carrier']);
      expect(fieldsOf(await ship(id, { status: 'shipped' }))).toEqual(['status']);
      dataOf(await ship(id), 201);
      expect(fieldsOf(await moderator.post(`/orders/${id}/deliveries`, { carrier: 'DHL' }))).toEqual(['carrier']);
      expect(failureOf(await moderator.post(`/orders/${id}/deliveries`))).toBe('400 MALFORMED_REQUEST');
      dataOf(await deliver(id), 201);
    });
  });

  describe('giving money back', () => {
    it('can be done in parts, up to what was paid', async () => {
      const { id, productId } = await paid(1000, 3);
      const before = await balanceOf(accountId);
      const first = dataOf(await refund(id, { amount: 1000, reason: 'One was broken' }), 201);
      expect(first).toMatchObject({ orderId: id, amount: -1000, currency: 'EUR' });
      expect(dataOf(await ann.get(`/transfers/${first.transferId}`))).toMatchObject({
        kind: 'refund',
        amount: 1000,
        toAccountId: accountId,
        note: 'One was broken',
      });
      expect(await orderOf(id)).toMatchObject({ status: 'paid', version: 3 });
      const tooMuch = await refund(id, { amount: 2001 });
      expect(failureOf(tooMuch)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(tooMuch)).toEqual(['amount']);
      dataOf(await ship(id), 201);
      expect(dataOf(await refund(id, { amount: 500 }), 201)).toMatchObject({ amount: -500 });
      expect(dataOf(await refund(id, { reason: 'Lost' }), 201)).toMatchObject({ amount: -1500 });
      expect(await orderOf(id)).toMatchObject({ status: 'refunded', version: 6 });
      expect(await balanceOf(accountId)).toBe(Number(before) + 3000);
      expect(await stockOf(productId)).toBe(7);
      expect((await historyOf(id)).at(-1)).toMatchObject({ from: 'shipped', to: 'refunded', reason: 'Lost' });
      transitionOf(await refund(id, { amount: 1 }));
    });

    it.each([0, -1, 1.5, '5', 9_007_199_254_740_992])('refuses %p', async (amount) => {
      const { id } = await paid();
      expect(fieldsOf(await refund(id, { amount }))).toEqual(['amount']);
    });

    it('of what cost nothing is nothing', async () => {
      const { id } = await paid(0);
      expect(fieldsOf(await refund(id, { amount: 1 }))).toEqual(['amount']);
      expect(dataOf(await refund(id), 201).amount).toBe(0);
      expect((await orderOf(id)).status).toBe('refunded');
    });

    it('is not possible once the buyer is gone', async () => {
      const zoe = await app.register('Zoe');
      const zoes = await app.funded(zoe, 1000);
      const { id: productId } = await app.product({ price: 1000 });
      const { id } = dataOf(await zoe.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
      dataOf(await zoe.post(`/orders/${id}/payments`, { accountId: zoes }), 201);
      dataOf(await ship(id), 201);
      expect(failureOf(await zoe.delete(`/users/${zoe.id}`))).toBe('409 CONFLICT');
      dataOf(await deliver(id), 201);
      expect((await zoe.delete(`/users/${zoe.id}`)).status).toBe(204);
      expect(failureOf(await refund(id))).toBe('409 CONFLICT');
      expect((await orderOf(id)).status).toBe('delivered');
      const admin = await app.admin();
      expect(fieldsOf(await admin.post('/deposits', { accountId: zoes, amount: 1 }))).toEqual(['accountId']);
      const gift = { fromAccountId: accountId, toAccountId: zoes, amount: 1 };
      expect(fieldsOf(await ann.post('/transfers', gift))).toEqual(['toAccountId']);
    });
  });

  it('can be in a moderator’s hands, and the history says so', async () => {
    const { id: productId } = await app.product();
    const order = { items: [{ productId, quantity: 1 }] };
    const { id, userId } = dataOf(await moderator.post(`/users/${ann.id}/orders`, order), 201);
    expect(userId).toBe(ann.id);
    expect(failureOf(await eve.post(`/users/${ann.id}/orders`, order))).toBe('403 FORBIDDEN');
    expect(failureOf(await pay(id, moderator))).toBe('403 FORBIDDEN');
    dataOf(await moderator.patch(`/orders/${id}`, { note: 'By phone' }));
    dataOf(await cancel(moderator, id), 201);
    expect(await historyOf(id)).toMatchObject([
      { to: 'pending', by: moderator.id },
      { to: 'cancelled', by: moderator.id },
    ]);
  });

  it('ends with the user, who is named no more', async () => {
    const dan = await app.register('Dan');
    const products = [await app.product({ stock: 5 }), await app.product({ stock: 5 })];
    const ids: string[] = [];
    for (const pair of [products, [...products].reverse()]) {
      const items = pair.map(({ id }) => ({ productId: id, quantity: 2 }));
      ids.push(dataOf(await dan.post('/orders', { items }), 201).id);
    }
    expect((await dan.delete(`/users/${dan.id}`)).status).toBe(204);
    for (const { id } of products) expect(await stockOf(id)).toBe(5);
    for (const id of ids) {
      expect((await historyOf(id, moderator)).at(-1)).toMatchObject({ to: 'cancelled', by: dan.id });
    }
    const [listed] = dataOf(await moderator.get(`/orders?userId=${dan.id}&include=user&limit=1`));
    expect(listed.user).toEqual({ id: dan.id, email: null, name: 'Erased user' });
  });

  it('is shown with its user to moderators who ask', async () => {
    await place();
    const user = { id: ann.id, email: ann.user.email, name: 'Ann' };
    for (const path of [`/orders?userId=${ann.id}`, `/users/${ann.id}/orders?limit=3`]) {
      const listed = dataOf(await moderator.get(`${path}&include=user`));
      expect(listed.map((each: any) => each.user)).toEqual(listed.map(() => user));
      expect(dataOf(await moderator.get(path))[0]).not.toHaveProperty('user');
    }
    const paths = ['/orders?include=user', `/users/${ann.id}/orders?include=user`];
    for (const path of paths) expect(failureOf(await ann.get(path))).toBe('403 FORBIDDEN');
    expect(fieldsOf(await moderator.get('/orders?include=items'))).toEqual(['include']);
    expect(failureOf(await moderator.get(`/orders/${(await place()).id}?include=user`))).toBe('422 VALIDATION_ERROR');
  });
});

describe('an order that is not paid in time', () => {
  let shops: App[];
  beforeAll(async () => {
    const app = await startApp({ ORDER_TTL: '2' });
    shops = [app, await startApp({ ORDER_TTL: '2', DATABASE_URL: app.databaseUrl })];
  });
  afterAll(async () => {
    for (const shop of [...(shops ?? [])].reverse()) await shop.stop();
  });

  it('is given up once, though two servers see to it, and its stock is put back', async () => {
    const [app] = shops as [App, App];
    const ann = await app.register('Ann');
    const accountId = await app.funded(ann, 1000);
    const { id: productId } = await app.product({ stock: 30, price: 1000 });
    const items = [{ productId, quantity: 1 }];
    const orders = await Promise.all(Array.from({ length: 20 }, () => ann.post('/orders', { items })));
    const [kept, ...others] = orders.map((answer) => dataOf(answer, 201));
    dataOf(await ann.post(`/orders/${kept.id}/payments`, { accountId }), 201);
    expect(dataOf(await ann.get(`/products/${productId}`)).stock).toBe(10);

    const pending = () => ann.get('/orders?status=pending');
    for (const deadline = Date.now() + 15_000; dataOf(await pending()).length > 0 && Date.now() < deadline;) {
      await new Promise((wake) => setTimeout(wake, 200));
    }
    expect(dataOf(await ann.get('/orders?status=cancelled&limit=100'))).toHaveLength(19);
    expect(dataOf(await ann.get(`/products/${productId}`)).stock).toBe(29);
    for (const { id } of others.slice(0, 3)) {
      expect(dataOf(await ann.get(`/orders/${id}/history`)).slice(1)).toMatchObject([
        { from: 'pending', to: 'cancelled', by: null, reason: 'Not paid in time' },
      ]);
    }
    expect(dataOf(await ann.get(`/orders/${kept.id}`)).status).toBe('paid');
  });

  it('can not be paid, even before it has been given up', async () => {
    const app = await startApp({ ORDER_TTL: '1', JOBS: 'off' });
    try {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 1000);
      const { id: productId } = await app.product({ price: 1000 });
      const { id } = dataOf(await ann.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
      await new Promise((wake) => setTimeout(wake, 1100));
      const answer = await ann.post(`/orders/${id}/payments`, { accountId });
      expect(failureOf(answer)).toBe('409 INVALID_TRANSITION');
      expect(answer.body.error.details).toEqual([{ from: 'pending', to: 'paid', allowed: ['cancelled'] }]);
    } finally {
      await app.stop();
    }
  });
});
