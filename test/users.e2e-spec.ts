import { ADMIN, type App, dataOf, failureOf, fieldsOf, NOTHING, PASSWORD, startApp, type UserClient } from './app.js';
import { mailTo } from './mails.js';

describe('users', () => {
  let app: App;
  let admin: UserClient;
  let moderator: UserClient;
  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
    moderator = await app.moderator();
  });
  afterAll(() => app?.stop());

  describe('reading', () => {
    it('everybody sees themselves, moderators see everybody', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      expect(dataOf(await ann.get('/users/me'))).toEqual(ann.user);
      expect(dataOf(await ann.get(`/users/${ann.id}`))).toEqual(ann.user);
      expect(dataOf(await moderator.get(`/users/${bob.id}`))).toEqual(bob.user);
      expect(failureOf(await ann.get(`/users/${bob.id}`))).toBe('403 FORBIDDEN');
      expect(failureOf(await ann.get('/users'))).toBe('403 FORBIDDEN');
      expect(failureOf(await app.anonymous.get('/users'))).toBe('401 UNAUTHORIZED');
    });

    it('nobody there is 404, and no id at all is 422', async () => {
      expect(failureOf(await admin.get(`/users/${NOTHING}`))).toBe('404 NOT_FOUND');
      const answer = await admin.get('/users/12');
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['id']);
    });

    it('a list is filtered, sorted and paged', async () => {
      for (const name of ['Zed Filter', 'Amy Filter', 'Kim Filter']) await app.register(name);
      const names = async (query: string) =>
        dataOf(await moderator.get(`/users?${query}`)).map((user: any) => user.name);
      expect(await names('name=fILTER&sortBy=name&sortOrder=asc')).toEqual(['Amy Filter', 'Kim Filter', 'Zed Filter']);
      expect(await names('name=filter')).toEqual(['Kim Filter', 'Amy Filter', 'Zed Filter']);
      expect(await names('email=ZED.filter')).toEqual(['Zed Filter']);
      expect(await names('role=moderator')).toEqual([moderator.user.name]);
      expect(await names('name=filter&createdTo=2020-01-01')).toEqual([]);
      expect(await names('name=filter&createdFrom=2020-01-01&sortBy=email&sortOrder=asc&limit=1')).toEqual([
        'Amy Filter',
      ]);
      expect(await names('name=%25')).toEqual([]); // no wildcard
    });

    it.each([
      'limit=0',
      'limit=101',
      'limit=x',
      'sortBy=password',
      'sortOrder=up',
      'role=king',
      'createdFrom=soon',
      'what=1',
    ])('a list with %s is refused by name', async (query) => {
      const answer = await moderator.get(`/users?${query}`);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual([query.split('=')[0]]);
    });
  });

  describe('making', () => {
    it('is for admins', async () => {
      const body = { email: 'made@example.com', name: 'Made', password: PASSWORD, role: 'moderator' };
      expect(failureOf(await moderator.post('/users', body))).toBe('403 FORBIDDEN');
      const answer = await admin.post('/users', body);
      const user = dataOf(answer, 201);
      expect(user).toMatchObject({ email: 'made@example.com', role: 'moderator', emailVerified: false });
      expect(answer.headers.get('location')).toBe(`/api/v1/users/${user.id}`);
      expect(failureOf(await admin.post('/users', body))).toBe('409 EMAIL_TAKEN');
      expect((await app.login('made@example.com')).user.role).toBe('moderator');
    });
  });

  describe('changing', () => {
    it('one may change one’s own name, which raises the version', async () => {
      const ann = await app.register('Ann');
      const changed = dataOf(await ann.patch(`/users/${ann.id}`, { name: 'Anna' }));
      expect(changed).toMatchObject({ name: 'Anna', email: ann.user.email, version: 2 });
      expect(dataOf(await ann.get('/users/me'))).toEqual(changed);
    });

    it('PUT takes both email and name', async () => {
      const ann = await app.register('Ann');
      const answer = await ann.put(`/users/${ann.id}`, { name: 'Anna' });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toContain('email');
      expect(dataOf(await ann.put(`/users/${ann.id}`, { name: 'Anna', email: ann.user.email })).name).toBe('Anna');
    });

    it('one’s own email needs the password', async () => {
      const ann = await app.register('Ann');
      const change = (body: object) => ann.patch(`/users/${ann.id}`, { email: 'new.ann@example.com', ...body });
      const without = await change({});
      expect(failureOf(without)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(without)).toEqual(['currentPassword']);
      expect(failureOf(await change({ currentPassword: 'Wrong-Horse-1' }))).toBe('401 INVALID_CREDENTIALS');
      expect(dataOf(await change({ currentPassword: PASSWORD })).email).toBe('new.ann@example.com');
      await app.login('new.ann@example.com');
    });

    it('to an email that is taken is 409', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      const body = { email: bob.user.email.toUpperCase(), currentPassword: PASSWORD };
      expect(failureOf(await ann.patch(`/users/${ann.id}`, body))).toBe('409 EMAIL_TAKEN');
    });

    it('a role is for admins to give', async () => {
      const ann = await app.register('Ann');
      expect(failureOf(await ann.patch(`/users/${ann.id}`, { role: 'admin' }))).toBe('403 FORBIDDEN');
      // Not even the one they have.
      expect(failureOf(await ann.patch(`/users/${ann.id}`, { role: 'user' }))).toBe('403 FORBIDDEN');
      const whole = { email: ann.user.email, name: 'Ann', role: 'user' };
      expect(failureOf(await ann.put(`/users/${ann.id}`, whole))).toBe('403 FORBIDDEN');
      expect(failureOf(await moderator.patch(`/users/${ann.id}`, { role: 'moderator' }))).toBe('403 FORBIDDEN');
      expect(dataOf(await admin.get(`/users/${ann.id}`)).role).toBe('user');
    });

    it('moderators change users, but neither admins nor each other', async () => {
      const [ann, other] = [await app.register('Ann'), await app.moderator()];
      expect(dataOf(await moderator.patch(`/users/${ann.id}`, { name: 'Renamed' })).name).toBe('Renamed');
      for (const id of [admin.id, other.id]) {
        expect(failureOf(await moderator.patch(`/users/${id}`, { name: 'Renamed' }))).toBe('403 FORBIDDEN');
      }
      const bob = await app.register('Bob');
      expect(failureOf(await bob.patch(`/users/${ann.id}`, { name: 'Stolen' }))).toBe('403 FORBIDDEN');
    });

    it.each(['id', 'version', 'emailVerified', 'createdAt', 'passwordHash'])('%s is nobody’s to set', async (field) => {
      const ann = await app.register('Ann');
      const answer = await ann.patch(`/users/${ann.id}`, { [field]: 'x' });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual([field]);
    });
  });

  describe('erasing', () => {
    it('takes the person and leaves the email free', async () => {
      const ann = await app.register('Ann');
      expect(failureOf(await moderator.delete(`/users/${ann.id}`))).toBe('403 FORBIDDEN');
      const answer = await ann.delete(`/users/${ann.id}`);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(failureOf(await ann.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      const refreshed = await app.anonymous.post('/auth/refresh', { refreshToken: ann.tokens.refreshToken });
      expect(failureOf(refreshed)).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await admin.get(`/users/${ann.id}`))).toBe('404 NOT_FOUND');
      expect(dataOf(await admin.get(`/users?email=${encodeURIComponent(ann.user.email)}`))).toEqual([]);
      expect(JSON.stringify(await app.sql('SELECT * FROM users WHERE id = $1', [ann.id]))).not.toContain(
        ann.user.email,
      );
      const again = { email: ann.user.email, name: 'Ann', password: PASSWORD };
      dataOf(await app.anonymous.post('/auth/register', again), 201);
    });

    it('leaves nothing of the person anywhere, and keeps what happened', async () => {
      const ann = await app.register('Ann Unforgettable');
      const agent = { 'user-agent': 'Unforgettable/1.0' };
      const body = { email: ann.user.email, password: PASSWORD };
      dataOf(await app.anonymous.post('/auth/login', body, agent));
      dataOf(await ann.patch(`/users/${ann.id}`, { name: 'Ann Unforgettable II' }));
      const items = [{ productId: (await app.product({ price: 1 })).id, quantity: 1 }];
      const extras = { note: 'For Ann Unforgettable', metadata: { gift: 'for Unforgettable' } };
      const pending = dataOf(await ann.post('/orders', { items, ...extras }), 201);
      const given = dataOf(await ann.post('/orders', { items, ...extras }), 201);
      const regretted = dataOf(await ann.post('/orders', { items }), 201);
      dataOf(await ann.post(`/orders/${regretted.id}/cancellations`, { reason: 'Unforgettable, not for me' }), 201);
      const accountId = await app.funded(ann, 1);
      dataOf(await ann.post(`/orders/${given.id}/payments`, { accountId }), 201);
      for (const step of ['shipments', 'deliveries']) dataOf(await admin.post(`/orders/${given.id}/${step}`, {}), 201);
      // What is to be mailed is gone once it is sent.
      for (const template of ['welcome', 'new-session']) await mailTo(app, ann.user.email, template);
      expect((await ann.delete(`/users/${ann.id}`)).status).toBe(204);

      const tables = await app.sql(
        `SELECT table_schema, table_name FROM information_schema.tables
         WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`,
      );
      for (const { table_schema, table_name } of tables) {
        const text = JSON.stringify(await app.sql(`SELECT * FROM ${String(table_schema)}.${String(table_name)}`));
        for (const trace of [ann.user.email, 'nforgettable'])
          expect([table_name, text.includes(trace)]).toEqual([table_name, false]);
      }
      for (const [{ id }, status] of [
        [pending, 'cancelled'],
        [given, 'delivered'],
        [regretted, 'cancelled'],
      ])
        expect(dataOf(await admin.get(`/orders/${id}`))).toMatchObject({ status, note: null, metadata: {} });
      const events = await app.sql('SELECT type, sequence, data FROM events WHERE resource_id = $1 ORDER BY sequence', [
        ann.id,
      ]);
      expect(events.map(({ type, sequence }) => [type, sequence])).toEqual([
        ['user.created', 1],
        ['user.updated', 2],
        ['user.deleted', 3],
      ]);
      for (const { data } of events) expect(data).toMatchObject({ id: ann.id, email: '', name: 'Erased user' });
    });

    it('waits until no money is left, and keeps the orders', async () => {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 1000);
      const { id: productId } = await app.product({ price: 1000 });
      expect(failureOf(await ann.delete(`/users/${ann.id}`))).toBe('409 CONFLICT');
      const bob = await app.register('Bob');
      const toAccountId = await app.funded(bob, 0);
      dataOf(await ann.post('/transfers', { fromAccountId: accountId, toAccountId, amount: 1000 }), 201);
      const order = dataOf(await ann.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
      expect((await ann.delete(`/users/${ann.id}`)).status).toBe(204);
      expect(dataOf(await moderator.get(`/orders/${order.id}`)).status).toBe('cancelled');
      expect(dataOf(await app.anonymous.get(`/products/${productId}`)).stock).toBe(10);
    });

    it('spares the last admin, who can not step down either', async () => {
      expect(failureOf(await admin.delete(`/users/${admin.id}`))).toBe('409 CONFLICT');
      expect(failureOf(await admin.patch(`/users/${admin.id}`, { role: 'user' }))).toBe('409 CONFLICT');
      expect((await app.login(ADMIN.email, ADMIN.password)).user.role).toBe('admin');
    });

    it('leaves no pending order and no account behind that was begun at the same moment', async () => {
      const { id: productId } = await app.product({ stock: 1000 });
      const body = { items: [{ productId, quantity: 1 }] };
      for (let round = 0; round < 5; round++) {
        const leaver = await app.register('Lea Leaver');
        const answers = await Promise.all([
          ...Array.from({ length: 6 }, () => leaver.post('/orders', body)),
          leaver.post('/accounts', { currency: 'EUR' }),
          leaver.delete(`/users/${leaver.id}`),
        ]);
        expect(answers.at(-1)!.status).toBe(204);
        // Before the end, during it, or after it: refused, or cancelled with the rest.
        for (const { status } of answers) expect([201, 204, 401, 409]).toContain(status);
        const sql = `SELECT count(*)::int AS count FROM orders WHERE user_id = $1 AND status = 'pending'`;
        expect(await app.sql(sql, [leaver.id])).toEqual([{ count: 0 }]);
      }
      expect(dataOf(await admin.get(`/products/${productId}`)).stock).toBe(1000);
    });

    it('is one for an email however it is written', async () => {
      const twin = { name: 'Twin', password: PASSWORD };
      dataOf(await app.anonymous.post('/auth/register', { ...twin, email: 'tor.straße@example.com' }), 201);
      const again = await app.anonymous.post('/auth/register', { ...twin, email: 'TOR.STRASSE@example.com' });
      expect(failureOf(again)).toBe('409 EMAIL_TAKEN');
    });
  });
});
