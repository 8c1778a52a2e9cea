import { type Answer, type App, type Client, dataOf, NOTHING, PASSWORD, startApp, type UserClient } from './app.js';

/**
 * Who may do what. Each row is a route of the published document and what nobody, a stranger, the owner of the resource,
 * a moderator and an admin get there; a route without a row fails. `make` sets the scene anew for each of them, since
 * some things can be done once only: where the resource is, and a good body. A route that has no owner treats the owner
 * as the stranger it is.
 */
const CALLERS = ['nobody', 'a stranger', 'the owner', 'a moderator', 'an admin'] as const;
type Caller = (typeof CALLERS)[number];

interface Scene {
  app: App;
  owner: UserClient;
  stranger: UserClient;
  /** Who is asking: one's own account differs with who one is. */
  caller: Client;
}
interface Call {
  path?: string;
  query?: string;
  body?: unknown;
}
interface Row {
  route: string;
  statuses: [nobody: number, stranger: number, owner: number, moderator: number, admin: number];
  make?: (scene: Scene) => Promise<Call> | Call;
}

let count = 0;
const unique = () => `${++count}.${Date.now()}`;

const newProduct = () => ({ sku: `SKU-${unique()}`, name: 'Lamp', price: 100, currency: 'EUR' });
const productPath =
  (suffix = '', body?: unknown) =>
  async ({ app }: Scene) => ({
    path: `/products/${(await app.product()).id}${suffix}`,
    body,
  });
const userPath =
  (suffix = '', body?: unknown) =>
  ({ owner }: Scene) => ({ path: `/users/${owner.id}${suffix}`, body });
const basket = async ({ app }: Scene) => ({ items: [{ productId: (await app.product()).id, quantity: 1 }] });
const orderOf = async (scene: Scene): Promise<any> =>
  dataOf(await scene.owner.post('/orders', await basket(scene)), 201);
const orderPath =
  (suffix = '', body?: unknown) =>
  async (scene: Scene) => ({
    path: `/orders/${(await orderOf(scene)).id}${suffix}`,
    body,
  });
/** One per currency is all that a user can have. */
const accountOf = async ({ app, owner }: Scene, amount = 0): Promise<string> => {
  const [account] = dataOf(await owner.get('/accounts'));
  if (account === undefined) return app.funded(owner, amount);
  if (amount > 0) dataOf(await (await app.admin()).post('/deposits', { accountId: account.id, amount }), 201);
  return account.id;
};
const paidOrderOf = async (scene: Scene): Promise<string> => {
  const { id, total } = await orderOf(scene);
  const accountId = await accountOf(scene, total);
  dataOf(await scene.owner.post(`/orders/${id}/payments`, { accountId }), 201);
  return id;
};
/** Switched off, so that nothing is sent to whoever lives there. */
const newWebhook = () => ({ url: 'http://93.184.216.34/', eventTypes: ['order.paid'], enabled: false });
const webhookPath =
  (suffix = '', body?: unknown) =>
  async ({ app }: Scene) => {
    const { id } = dataOf(await (await app.admin()).post('/webhooks', newWebhook()), 201);
    return { path: `/webhooks/${id}${suffix}`, body };
  };
const accountPath =
  (suffix = '') =>
  async (scene: Scene) => ({ path: `/accounts/${await accountOf(scene)}${suffix}` });

const TABLE: Row[] = [
  // Everybody's
  {
    route: 'POST /auth/register',
    statuses: [201, 201, 201, 201, 201],
    make: () => ({ body: { email: `${unique()}@example.com`, name: 'New', password: PASSWORD } }),
  },
  {
    route: 'POST /auth/login',
    statuses: [200, 200, 200, 200, 200],
    make: ({ owner }) => ({ body: { email: owner.user.email, password: PASSWORD } }),
  },
  {
    route: 'POST /auth/refresh',
    statuses: [200, 200, 200, 200, 200],
    make: async ({ app, owner }) => ({
      body: { refreshToken: (await app.login(owner.user.email)).tokens.refreshToken },
    }),
  },
  // A token that is none: that they are told so means that they are let in.
  {
    route: 'POST /auth/password/reset',
    statuses: [422, 422, 422, 422, 422],
    make: () => ({ body: { token: 'none', password: PASSWORD } }),
  },
  { route: 'POST /auth/email/verify', statuses: [422, 422, 422, 422, 422], make: () => ({ body: { token: 'none' } }) },
  {
    route: 'POST /auth/password/forgot',
    statuses: [202, 202, 202, 202, 202],
    make: ({ owner }) => ({ body: { email: owner.user.email } }),
  },
  {
    route: 'POST /checkouts',
    statuses: [201, 201, 201, 201, 201],
    make: async (scene) => ({
      body: { user: { email: `${unique()}@example.com`, name: 'New', password: PASSWORD }, order: await basket(scene) },
    }),
  },
  { route: 'GET /.well-known/jwks.json', statuses: [200, 200, 200, 200, 200] },
  { route: 'GET /health', statuses: [200, 200, 200, 200, 200] },
  { route: 'GET /health/live', statuses: [200, 200, 200, 200, 200] },
  { route: 'GET /health/ready', statuses: [200, 200, 200, 200, 200] },
  { route: 'GET /products', statuses: [200, 200, 200, 200, 200] },
  { route: 'GET /products/{id}', statuses: [200, 200, 200, 200, 200], make: productPath() },

  // One's own
  { route: 'GET /users/me', statuses: [401, 200, 200, 200, 200] },
  { route: 'GET /users/{id}', statuses: [401, 403, 200, 200, 200], make: userPath() },
  { route: 'GET /api/v2/users/{id}', statuses: [401, 403, 200, 200, 200], make: userPath() },
  {
    route: 'PUT /users/{id}',
    statuses: [401, 403, 200, 200, 200],
    make: ({ owner }) => ({ path: `/users/${owner.id}`, body: { email: owner.user.email, name: 'Olive' } }),
  },
  { route: 'PATCH /users/{id}', statuses: [401, 403, 200, 200, 200], make: userPath('', { name: 'Olive' }) },
  { route: 'DELETE /users/{id}', statuses: [401, 403, 204, 403, 204], make: userPath() },
  { route: 'GET /users/{id}/orders', statuses: [401, 403, 200, 200, 200], make: userPath('/orders') },
  {
    route: 'POST /users/{id}/orders',
    statuses: [401, 403, 201, 201, 201],
    make: async (scene) => ({ path: `/users/${scene.owner.id}/orders`, body: await basket(scene) }),
  },
  {
    route: 'POST /orders',
    statuses: [401, 201, 201, 201, 201],
    make: async (scene) => ({ body: await basket(scene) }),
  },
  { route: 'GET /orders', statuses: [401, 200, 200, 200, 200] },
  { route: 'GET /orders/{id}', statuses: [401, 403, 200, 200, 200], make: orderPath() },
  { route: 'PATCH /orders/{id}', statuses: [401, 403, 200, 200, 200], make: orderPath('', { note: 'Ring' }) },
  {
    route: 'POST /orders/{id}/payments',
    statuses: [401, 403, 201, 403, 403],
    make: async (scene) => {
      const { id, total } = await orderOf(scene);
      return { path: `/orders/${id}/payments`, body: { accountId: await accountOf(scene, total) } };
    },
  },
  { route: 'GET /orders/{id}/history', statuses: [401, 403, 200, 200, 200], make: orderPath('/history') },
  {
    route: 'POST /orders/{id}/cancellations',
    statuses: [401, 403, 201, 201, 201],
    make: orderPath('/cancellations', {}),
  },
  {
    route: 'POST /accounts',
    statuses: [401, 201, 201, 201, 201],
    make: async ({ caller }) => {
      const { body } = await caller.get('/accounts');
      const taken = (body.data ?? []).map((account: any) => account.currency);
      return { body: { currency: ['EUR', 'USD', 'GBP', 'CHF', 'SEK'].find((each) => !taken.includes(each)) } };
    },
  },
  { route: 'GET /accounts', statuses: [401, 200, 200, 200, 200] },
  { route: 'GET /accounts/{id}', statuses: [401, 403, 200, 200, 200], make: accountPath() },
  { route: 'GET /accounts/{id}/entries', statuses: [401, 403, 200, 200, 200], make: accountPath('/entries') },
  {
    route: 'POST /transfers',
    statuses: [401, 403, 201, 403, 403],
    make: async (scene) => {
      const fromAccountId = await accountOf(scene, 5);
      const receiver = await scene.app.register('Rita Receiver');
      return { body: { fromAccountId, toAccountId: await scene.app.funded(receiver, 0), amount: 5 } };
    },
  },
  {
    route: 'GET /transfers/{id}',
    statuses: [401, 403, 200, 200, 200],
    make: async (scene) => {
      const deposit = { accountId: await accountOf(scene), amount: 5 };
      const { id } = dataOf(await (await scene.app.admin()).post('/deposits', deposit), 201);
      return { path: `/transfers/${id}` };
    },
  },

  { route: 'GET /auth/sessions', statuses: [401, 200, 200, 200, 200] },
  { route: 'DELETE /auth/sessions', statuses: [401, 204, 204, 204, 204] },
  {
    route: 'DELETE /auth/sessions/{id}',
    statuses: [401, 404, 204, 404, 404],
    make: async ({ owner }) => ({ path: `/auth/sessions/${dataOf(await owner.get('/auth/sessions'))[0].id}` }),
  },
  { route: 'POST /auth/logout', statuses: [401, 204, 204, 204, 204] },
  { route: 'POST /auth/email/resend', statuses: [401, 202, 202, 202, 202] },
  {
    route: 'POST /auth/password/change',
    statuses: [401, 204, 204, 204, 204],
    make: () => ({ body: { currentPassword: PASSWORD, newPassword: 'Other-Horse-7' } }),
  },

  // A moderator's
  {
    route: 'POST /orders/{id}/shipments',
    statuses: [401, 403, 403, 201, 201],
    make: async (scene) => ({ path: `/orders/${await paidOrderOf(scene)}/shipments`, body: {} }),
  },
  {
    route: 'POST /orders/{id}/deliveries',
    statuses: [401, 403, 403, 201, 201],
    make: async (scene) => {
      const id = await paidOrderOf(scene);
      dataOf(await (await scene.app.admin()).post(`/orders/${id}/shipments`, {}), 201);
      return { path: `/orders/${id}/deliveries`, body: {} };
    },
  },
  {
    route: 'POST /orders/{id}/refunds',
    statuses: [401, 403, 403, 201, 201],
    make: async (scene) => ({ path: `/orders/${await paidOrderOf(scene)}/refunds`, body: {} }),
  },
  { route: 'GET /users', statuses: [401, 403, 403, 200, 200] },
  { route: 'POST /products', statuses: [401, 403, 403, 201, 201], make: () => ({ body: newProduct() }) },
  {
    route: 'PUT /products/{id}',
    statuses: [401, 403, 403, 200, 200],
    make: (scene) => productPath('', newProduct())(scene),
  },
  { route: 'PATCH /products/{id}', statuses: [401, 403, 403, 200, 200], make: productPath('', { price: 1 }) },
  { route: 'DELETE /products/{id}', statuses: [401, 403, 403, 204, 204], make: productPath() },
  {
    route: 'POST /products/{id}/stock-adjustments',
    statuses: [401, 403, 403, 201, 201],
    make: productPath('/stock-adjustments', { delta: 1, reason: 'Found' }),
  },

  // An admin's
  {
    route: 'POST /users',
    statuses: [401, 403, 403, 403, 201],
    make: () => ({ body: { email: `${unique()}@example.com`, name: 'New', password: PASSWORD } }),
  },
  {
    route: 'POST /deposits',
    statuses: [401, 403, 403, 403, 201],
    make: async (scene) => ({ body: { accountId: await accountOf(scene), amount: 5 } }),
  },
  { route: 'GET /jobs', statuses: [401, 403, 403, 403, 200] },
  // There is none: that an admin is told so means that they are let in.
  {
    route: 'POST /jobs/{id}/retries',
    statuses: [401, 403, 403, 403, 404],
    make: () => ({ path: '/jobs/999999999/retries' }),
  },
  { route: 'GET /webhooks', statuses: [401, 403, 403, 403, 200] },
  { route: 'POST /webhooks', statuses: [401, 403, 403, 403, 201], make: () => ({ body: newWebhook() }) },
  { route: 'GET /webhooks/{id}', statuses: [401, 403, 403, 403, 200], make: webhookPath() },
  { route: 'PUT /webhooks/{id}', statuses: [401, 403, 403, 403, 200], make: webhookPath('', newWebhook()) },
  { route: 'PATCH /webhooks/{id}', statuses: [401, 403, 403, 403, 200], make: webhookPath('', { description: 'Old' }) },
  { route: 'DELETE /webhooks/{id}', statuses: [401, 403, 403, 403, 204], make: webhookPath() },
  {
    route: 'POST /webhooks/{id}/secret-rotations',
    statuses: [401, 403, 403, 403, 201],
    make: webhookPath('/secret-rotations'),
  },
  // It is switched off: that an admin is told so means that they are let in.
  { route: 'POST /webhooks/{id}/tests', statuses: [401, 403, 403, 403, 409], make: webhookPath('/tests') },
  { route: 'GET /webhooks/{id}/deliveries', statuses: [401, 403, 403, 403, 200], make: webhookPath('/deliveries') },
  {
    route: 'GET /webhooks/{id}/deliveries/{deliveryId}',
    statuses: [401, 403, 403, 403, 404],
    make: webhookPath(`/deliveries/${NOTHING}`),
  },
  {
    route: 'POST /webhooks/{id}/deliveries/{deliveryId}/retries',
    statuses: [401, 403, 403, 403, 409],
    make: webhookPath(`/deliveries/${NOTHING}/retries`),
  },
  { route: 'GET /ledger/trial-balance', statuses: [401, 403, 403, 403, 200] },
  { route: 'GET /events', statuses: [401, 403, 403, 403, 200] },
];

/** What a query or a body must not widen: who asks for more than is theirs gets 403. */
const WIDENINGS: (Row & { case: string })[] = [
  {
    case: 'orders of another',
    route: 'GET /orders',
    statuses: [401, 403, 200, 200, 200],
    make: ({ owner }) => ({ query: `userId=${owner.id}` }),
  },
  {
    case: 'products that are not on sale',
    route: 'GET /products',
    statuses: [403, 403, 403, 200, 200],
    make: () => ({ query: 'status=draft' }),
  },
  {
    case: 'a product that is not on sale',
    route: 'GET /products/{id}',
    statuses: [404, 404, 404, 200, 200],
    make: async ({ app }) => ({ path: `/products/${(await app.product({ status: 'draft' })).id}` }),
  },
  {
    case: 'a role of one’s own choice',
    route: 'PATCH /users/{id}',
    statuses: [401, 403, 403, 403, 200],
    make: userPath('', { role: 'user' }),
  },
  {
    case: 'a moderator',
    route: 'PATCH /users/{id}',
    statuses: [401, 403, 403, 403, 200],
    make: async ({ app }) => ({ path: `/users/${(await app.moderator()).id}`, body: { name: 'Not me' } }),
  },
  {
    case: 'an admin',
    route: 'PATCH /users/{id}',
    statuses: [401, 403, 403, 403, 200],
    make: async ({ app }) => ({ path: `/users/${(await app.admin()).id}`, body: { name: 'Admin' } }),
  },
];

describe('authorisation', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app?.stop());

  /** People of their own for each call: some of them do not outlive it. */
  async function play({ route, make = () => ({}) }: Row, who: Caller): Promise<Answer> {
    const [owner, stranger] = [await app.register('Olga Owner'), await app.register('Sam Stranger')];
    const callers: Record<Caller, () => Client | Promise<Client>> = {
      nobody: () => app.anonymous,
      'a stranger': () => stranger,
      'the owner': () => owner,
      'a moderator': () => app.moderator(),
      'an admin': () => app.anotherAdmin(),
    };
    const caller = await callers[who]();
    const [method = '', template = ''] = route.split(' ');
    const { path = template, query, body } = await make({ app, owner, stranger, caller });
    const version = /^\/api\/v\d+(?=\/)/.exec(template)?.[0] ?? '/api/v1';
    const whole = `${/^\/(api|health|\.well-known)(\/|$)/.test(path) ? '' : version}${path}${query === undefined ? '' : `?${query}`}`;
    return app.request(method, whole, { ...(caller.token && { token: caller.token }), body });
  }

  it('has a row for every route of the document, and none for any other', async () => {
    const { paths } = (await app.anonymous.get('/openapi.json')).body;
    const routes = Object.entries<object>(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/^\/api\/v1\//, '/')}`),
    );
    const rows = TABLE.map(({ route }) => route);
    expect([...rows].sort()).toEqual([...new Set(routes)].sort());
    expect(new Set(rows).size).toBe(rows.length);
  });

  describe.each(TABLE)('$route', (row) => {
    it.each(CALLERS.map((who, index) => [who, row.statuses[index]] as const))('gives %s %i', async (who, expected) => {
      const { status, text } = await play(row, who);
      expect(status === expected ? status : `${status} ${text}`).toBe(expected);
    });
  });

  describe.each(WIDENINGS)('$route with $case', (row) => {
    it.each(CALLERS.map((who, index) => [who, row.statuses[index]] as const))('gives %s %i', async (who, expected) => {
      const { status, text } = await play(row, who);
      expect(status === expected ? status : `${status} ${text}`).toBe(expected);
    });
  });
});
