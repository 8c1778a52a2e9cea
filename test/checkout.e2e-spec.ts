import { type App, dataOf, failureOf, fieldsOf, NOTHING, PASSWORD, startApp } from './app.js';

describe('checking out as a guest', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app?.stop());

  let count = 0;
  const guest = () => ({ email: `guest.${++count}@example.com`, name: 'Gil Guest', password: PASSWORD });
  const checkOut = (user: unknown, order: unknown) => app.anonymous.post('/checkouts', { user, order });
  const usersWith = (email: string) => app.sql('SELECT id FROM users WHERE email = $1', [email]);

  it('makes the user and the order together', async () => {
    const { id: productId } = await app.product({ price: 700 });
    const user = guest();
    const answer = await checkOut(user, { items: [{ productId, quantity: 2 }], note: 'A gift', metadata: { a: 'b' } });
    const { order, ...tokens } = dataOf(answer, 201);
    expect(order).toMatchObject({ userId: tokens.user.id, status: 'pending', total: 1400, note: 'A gift' });
    expect(tokens).toMatchObject({ tokenType: 'Bearer', user: { email: user.email, name: user.name, role: 'user' } });
    expect(answer.headers.get('location')).toBe(`/api/v1/orders/${order.id}`);
    const client = app.as(tokens.accessToken);
    expect(dataOf(await client.get(`/orders/${order.id}`))).toEqual(order);
    expect(dataOf(await client.get(`/orders/${order.id}/history`))).toMatchObject([
      { to: 'pending', by: order.userId },
    ]);
    dataOf(await app.anonymous.post('/auth/refresh', { refreshToken: tokens.refreshToken }));
    await app.login(user.email);
  });

  it('makes neither where one of them can not be', async () => {
    const [plenty, scarce] = [await app.product({ stock: 5 }), await app.product({ stock: 1 })];
    const user = guest();
    const short = await checkOut(user, {
      items: [
        { productId: plenty.id, quantity: 1 },
        { productId: scarce.id, quantity: 2 },
      ],
    });
    expect(failureOf(short)).toBe('409 INSUFFICIENT_STOCK');
    expect(fieldsOf(short)).toEqual(['order.items[1].quantity']);
    expect(short.body.error.details[0]).toMatchObject({ available: 1 });
    const unknown = await checkOut(user, { items: [{ productId: NOTHING, quantity: 1 }] });
    expect(failureOf(unknown)).toBe('422 VALIDATION_ERROR');
    expect(fieldsOf(unknown)).toEqual(['order.items[0].productId']);
    expect(await usersWith(user.email)).toEqual([]);

    const ann = await app.register('Ann');
    const taken = await checkOut(
      { ...user, email: ann.user.email.toUpperCase() },
      { items: [{ productId: plenty.id, quantity: 1 }] },
    );
    expect(failureOf(taken)).toBe('409 EMAIL_TAKEN');
    expect(fieldsOf(taken)).toEqual(['user.email']);
    expect(dataOf(await ann.get(`/products/${plenty.id}`)).stock).toBe(5);
  });

  it('names what is wrong by its path', async () => {
    const { id: productId } = await app.product();
    const order = { items: [{ productId, quantity: 1 }] };
    const wrong = async (user: unknown, given: unknown) => {
      const answer = await checkOut(user, given);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      return fieldsOf(answer);
    };
    expect(await wrong({ ...guest(), email: 'nobody' }, order)).toEqual(['user.email']);
    expect(await wrong({ ...guest(), role: 'admin' }, order)).toEqual(['user.role']);
    expect(await wrong({ ...guest(), password: 'short' }, order)).toEqual(['user.password']);
    expect(await wrong(guest(), { items: [{ productId, quantity: 0 }] })).toEqual(['order.items[0].quantity']);
    expect(await wrong(guest(), { ...order, total: 1 })).toEqual(['order.total']);
    expect(await wrong(undefined, order)).toEqual(['user']);
    expect(await wrong(guest(), undefined)).toEqual(['order']);
    expect(await wrong([guest()], order)).toEqual(['user']);
    expect(await wrong(guest(), [order])).toEqual(['order']);
    expect(await wrong('guest', null)).toEqual(['user', 'order']);
  });

  it('of the last piece is one guest’s', async () => {
    const { id: productId } = await app.product({ stock: 1 });
    const guests = [guest(), guest(), guest()];
    const answers = await Promise.all(guests.map((user) => checkOut(user, { items: [{ productId, quantity: 1 }] })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    const emails = guests.map(({ email }) => email);
    expect(await app.sql('SELECT email FROM users WHERE email = ANY($1)', [emails])).toHaveLength(1);
  });

  it('of one email is possible once', async () => {
    const { id: productId } = await app.product();
    const user = guest();
    const answers = await Promise.all([1, 2].map(() => checkOut(user, { items: [{ productId, quantity: 1 }] })));
    expect(answers.map(failureOf).sort()).toEqual(['201 undefined', '409 EMAIL_TAKEN']);
    expect(await app.sql('SELECT stock FROM products WHERE id = $1', [productId])).toEqual([{ stock: 9 }]);
  });
});
