import { randomUUID } from 'node:crypto';
import { type App, dataOf, failureOf, PASSWORD, startApp } from './app.js';

jest.setTimeout(120_000);

describe('a person who is erased', () => {
  let app: App;
  // No mail is sent: they all wait.
  beforeAll(async () => {
    app = await startApp({ JOBS: 'off' });
  });
  afterAll(() => app?.stop());

  /** The tables in which this is written anywhere, in whatever case. */
  const whereIs = async (text: string): Promise<string[]> => {
    const tables = await app.sql(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const questions = tables.map(
      ({ name }) =>
        `SELECT '${name as string}' AS name WHERE EXISTS (SELECT FROM ${name as string} AS each WHERE each::text ILIKE $1)`,
    );
    return (await app.sql(questions.join(' UNION ALL '), [`%${text}%`])).map(({ name }) => name as string);
  };

  it('is not to be found in any table, whatever they did', async () => {
    const admin = await app.admin();
    const product = await app.product({ price: 0 });
    const items = [{ productId: product.id, quantity: 1 }];
    const [first, second, name] = ['zaphod.first@example.com', 'zaphod.second@example.com', 'Zaphod Beeblebrox'];
    const checkout = { user: { email: first, name, password: PASSWORD }, order: { items, note: 'Ring at Trillian' } };
    const key = { 'idempotency-key': randomUUID() };
    const { user, accessToken } = dataOf(await app.anonymous.post('/checkouts', checkout, key), 201);
    const zaphod = app.as(accessToken);

    dataOf(await zaphod.post('/auth/email/resend'), 202);
    dataOf(await app.anonymous.post('/auth/password/forgot', { email: first }), 202);
    const metadata = { phone: '+49 42 4242' };
    const order = dataOf(await zaphod.post('/orders', { items, metadata }, key), 201);
    dataOf(await zaphod.patch(`/orders/${order.id}`, { metadata: {} }));
    const kept = dataOf(await zaphod.post('/orders', { items, note: 'Leave it with Arthur' }), 201);
    const accountId = dataOf(await zaphod.post('/accounts', { currency: 'EUR' }), 201).id;
    dataOf(await zaphod.post(`/orders/${kept.id}/payments`, { accountId }), 201);
    for (const step of ['shipments', 'deliveries']) {
      dataOf(await admin.post(`/orders/${kept.id}/${step}`, {}, { 'idempotency-key': step }), 201);
    }
    const ordered = { items, note: 'Trillian rang' };
    dataOf(await admin.post(`/users/${user.id}/orders`, ordered, key), 201);
    dataOf(await zaphod.patch(`/users/${user.id}`, { email: second, currentPassword: PASSWORD }));
    const again = await app.anonymous.post('/checkouts', checkout, key);
    expect(dataOf(again, 201).user).toMatchObject({ id: user.id, email: first });
    dataOf(await app.login(second).then((again) => again.get('/users/me')));
    const texts = ['zaphod', 'beeblebrox', '42 4242', 'trillian', 'arthur'];
    for (const text of texts) expect(await whereIs(text)).not.toEqual([]);
    const before = dataOf(await admin.get(`/orders/${kept.id}`));

    const waiting = await app.sql(`SELECT payload FROM graphile_worker.jobs
      JOIN graphile_worker._private_jobs USING (id) WHERE task_identifier = 'mail.send'`);
    expect(waiting.length).toBeGreaterThan(1);
    for (const { payload } of waiting) {
      expect(Object.keys(payload as object).sort()).toEqual(['messageId', 'sealed', 'userId']);
    }

    expect((await admin.delete(`/users/${user.id}`)).status).toBe(204);
    for (const text of texts) expect([text, await whereIs(text)]).toEqual([text, []]);

    // What others were told of them is not told again.
    const replays = [
      () => app.anonymous.post('/checkouts', checkout, key),
      () => admin.post(`/users/${user.id}/orders`, ordered, key),
      () => admin.post(`/orders/${kept.id}/shipments`, {}, { 'idempotency-key': 'shipments' }),
    ];
    for (const replay of replays) expect(failureOf(await replay())).toBe('409 CONFLICT');

    // What is left of their orders is as the feed tells it.
    const after = dataOf(await admin.get(`/orders/${kept.id}`));
    expect(after).toMatchObject({ status: 'delivered', note: null, version: Number(before.version) + 1 });
    const events = await app.sql('SELECT type, sequence, data FROM events WHERE resource_id = $1 ORDER BY sequence', [
      kept.id,
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'order.updated', sequence: after.version, data: { note: null } });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(failureOf(await app.anonymous.post('/auth/login', { email: second, password: PASSWORD }))).toMatch(/^401/);
  });
});
