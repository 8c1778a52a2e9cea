import { type App, type Client, dataOf, failureOf, fieldsOf, startApp, type UserClient } from './app.js';

const HEX = '0123456789abcdef';

interface List {
  /** What it lists for the admin, and no more of anything else than there was at the start; `:id` is of its parent. */
  path: string;
  /** Inserts rows with these ids, whose sort keys mostly tie; for the admin ($2), or into the parent with that id. */
  insert: string;
  /** Which field of an item says which row it is; `id` where nothing is said. */
  key?: string;
  /** The filters to sort by each key under. */
  sorts: Record<string, string>;
}

const ORDERS = `
  INSERT INTO orders (id, number, user_id, status, currency, total, metadata, created_at, updated_at, expires_at, version)
  SELECT id, id, $2, 'cancelled', 'CHF', n % 3, '{}', timestamptz '2026-01-01' + (n % 3) * interval '1 ms',
         timestamptz '2026-01-01' + (n % 2) * interval '1 ms', now(), 1
    FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`;

/** Every list of the document, under the name of its path there. */
const LISTS: Record<string, List> = {
  '/users': {
    path: '/users',
    insert: `
      INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
      SELECT id, 'tie' || id || '@example.com', 'tie' || id || '@example.com',
             (ARRAY['tie', 'Tie', 'TIE É', 'tie é'])[1 + n % 4], 'user', 1, $2, false,
             timestamptz '2026-01-01' + (n % 3) * interval '1 ms', timestamptz '2026-01-01', 1
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    sorts: {
      createdAt: 'email=TIE&role=user',
      updatedAt: 'createdFrom=2026-01-01&createdTo=2026-01-02',
      email: 'email=tie',
      name: 'name=TIE',
    },
  },
  '/products': {
    path: '/products',
    insert: `
      INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
      SELECT id, id, (ARRAY['tie', 'Tie', 'other'])[1 + n % 3], $2, n % 2, 'CHF', n % 2, 'active',
             timestamptz '2026-01-01' + (n % 3) * interval '1 ms', now(), 1, 1
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    // By relevance: see test/search.
    sorts: {
      createdAt: 'currency=CHF&maxPrice=1',
      price: 'currency=CHF&status=active',
      name: 'currency=CHF',
    },
  },
  '/orders': {
    path: '/orders',
    insert: ORDERS,
    sorts: {
      createdAt: 'currency=CHF&status=cancelled',
      updatedAt: 'currency=CHF&createdFrom=2026-01-01',
      total: 'currency=CHF&minTotal=0&maxTotal=2',
    },
  },
  '/users/{id}/orders': {
    path: '/users/:id/orders',
    insert: ORDERS,
    sorts: { createdAt: 'status=cancelled', updatedAt: 'currency=CHF', total: 'include=user' },
  },
  '/orders/{id}/history': {
    path: '/orders/:id/history',
    insert: `
      INSERT INTO order_status_changes (id, order_id, version, to_status, reason, created_at)
      SELECT id, $2, n + (SELECT count(*) FROM order_status_changes WHERE order_id = $2), 'paid', id, '2026-01-01'
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    key: 'reason',
    sorts: { createdAt: '' },
  },
  '/accounts': {
    path: '/accounts',
    insert: `
      INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
      SELECT id, 'user', $2, translate(right(id::text, 3), '0123456789abcdef', 'ABCDEFGHIJKLMNOP'), 0, 0,
             timestamptz '2026-01-01' + (n % 3) * interval '1 ms'
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    sorts: { createdAt: '' },
  },
  '/accounts/{id}/entries': {
    path: '/accounts/:id/entries',
    insert: `
      WITH made AS (
        INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
        SELECT rows.id, 'deposit', accounts.id, $2, 1, 'EUR', '2026-01-01'
          FROM unnest($1::uuid[]) AS rows (id), accounts WHERE kind = 'outside' AND currency = 'EUR'
        RETURNING *
      )
      INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at)
      SELECT gen_random_uuid(), made.id, side.account_id, side.amount, created_at
        FROM made, LATERAL (VALUES (from_account_id, -1), (to_account_id, 1)) AS side (account_id, amount)`,
    key: 'transferId',
    sorts: { createdAt: '' },
  },
  '/auth/sessions': {
    path: '/auth/sessions',
    insert: `
      INSERT INTO sessions (id, user_id, refresh_hash, rotated_at, created_at, last_used_at, expires_at)
      SELECT id, $2, id, now(), timestamptz '2026-01-01' + (n % 3) * interval '1 ms', now(), now() + interval '1 day'
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    sorts: { createdAt: '' },
  },
  // Those of one transaction tie.
  '/events': {
    path: '/events',
    insert: `
      INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
      SELECT rows.id, 'order.paid', rows.id, 1, jsonb_build_object('of', $2::text), now(),
             pg_current_xact_id()::text::bigint + transaction_offset
        FROM unnest($1::uuid[]) AS rows (id), event_feed`,
    sorts: { createdAt: 'type=order.paid' },
  },
  '/webhooks': {
    path: '/webhooks',
    insert: `
      INSERT INTO webhooks (id, url, event_types, description, enabled, secret, previous_secrets, begins_after, created_at, updated_at, version)
      SELECT id, 'https://example.com/', '{order.paid}', $2, false, '', '[]', 0,
             timestamptz '2026-01-01' + (n % 3) * interval '1 ms', now(), 1
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    sorts: { createdAt: '' },
  },
  '/webhooks/{id}/deliveries': {
    path: '/webhooks/:id/deliveries',
    insert: `
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, state, attempts, created_at)
      SELECT id, $2, id, 'order.paid', 'delivered', 1, timestamptz '2026-01-01' + (n % 3) * interval '1 ms'
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    sorts: { createdAt: 'state=delivered' },
  },
  // Their ids are numbers, given out by the database; those of one transaction were made at one time.
  '/jobs': {
    path: '/jobs',
    insert: `
      SELECT (graphile_worker.add_job('test.idle', json_build_object('of', $2::text), 'ties',
                                      timestamptz '2099-01-01' + (n % 3) * interval '1 ms')).id
        FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
    sorts: { createdAt: 'queue=ties', runAt: 'queue=ties&state=scheduled' },
  },
};

describe('every list', () => {
  let app: App;
  let admin: UserClient;
  let moderator: UserClient;
  let count = 0;
  /** What each list began with. */
  const rows: Record<string, string[]> = {};
  const parent: Record<string, string> = {};
  const paths: Record<string, string> = {};

  /** So many ids, all over the range of them. */
  const ids = (many: number): string[] =>
    Array.from({ length: many }, () => {
      const spread = HEX[(++count * 7) % 16]!.repeat(8);
      return `${spread}-0000-7000-8000-${count.toString(16).padStart(12, '0')}`;
    });

  /** So many more rows of a list; where the database gives out the ids, they are those. */
  const insert = async (name: string, many: number): Promise<string[]> => {
    const wanted = ids(many);
    const made = await app.sql(LISTS[name]!.insert, [wanted, parent[name]]);
    return made.length > 0 ? made.map(({ id }) => String(id)) : wanted;
  };

  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
    moderator = await app.moderator();
    const { id: productId } = await app.product();
    const order = dataOf(await admin.post('/orders', { items: [{ productId, quantity: 1 }] }), 201);
    const webhook = { url: 'http://93.184.216.34/', eventTypes: ['order.paid'], enabled: false };
    const parents: Record<string, string> = {
      '/users/{id}/orders': (await app.register()).id,
      '/orders/{id}/history': order.id,
      '/accounts/{id}/entries': await app.funded(await app.register(), 1),
      '/webhooks/{id}/deliveries': dataOf(await admin.post('/webhooks', webhook), 201).id,
    };
    for (const [name, { path }] of Object.entries(LISTS)) {
      parent[name] = parents[name] ?? admin.id;
      paths[name] = path.replace(':id', parent[name]);
      rows[name] = await insert(name, 23);
    }
  });
  afterAll(() => app?.stop());

  const page = async (path: string, client: Client = moderator) => {
    const answer = await client.get(path);
    return { items: dataOf(answer) as any[], pagination: answer.body.meta.pagination };
  };
  /** What a walk sees, page by page, with something else happening between them. */
  const walk = async (
    path: string,
    key = 'id',
    between?: () => Promise<unknown>,
    limits: readonly number[] = [4],
  ): Promise<string[]> => {
    const seen: string[] = [];
    for (let cursor: string | null = '', n = 0, isLast = false; !isLast; n++) {
      const limit = limits[n % limits.length];
      const { items, pagination } = await page(`${path}&limit=${limit}${cursor && `&cursor=${cursor}`}`, admin);
      expect(items.length).toBeLessThanOrEqual(limit!);
      isLast = !pagination.hasNext;
      // The feed of events can always be followed.
      const isFollowed = path.startsWith('/events');
      const nextCursor = isLast && !isFollowed ? null : expect.any(String);
      expect(pagination).toEqual({ limit, nextCursor, hasNext: !isLast });
      seen.push(...items.map((item) => item[key]));
      cursor = pagination.nextCursor;
      await between?.();
    }
    return seen;
  };

  it('is in the table, with everything that it can be sorted by', async () => {
    const { paths: described } = (await app.anonymous.get('/openapi.json')).body;
    const sorts = Object.entries<any>(described).flatMap(([path, { get }]) => {
      const sortBy = get?.parameters?.find(({ name }: any) => name === 'sortBy');
      const name = path.replace('/api/v1', '');
      return (sortBy?.schema.enum ?? []).map((by: string) => `${name} by ${by}`);
    });
    const tested = Object.entries(LISTS).flatMap(([name, list]) =>
      Object.keys(list.sorts).map((by) => `${name} by ${by}`),
    );
    expect([...tested, '/products by relevance'].sort()).toEqual(sorts.sort());
  });

  describe.each(
    Object.entries(LISTS).flatMap(([name, { sorts, key }]) =>
      Object.entries(sorts).map(([sortBy, filters]) => ({ name, sortBy, filters, key })),
    ),
  )('$name by $sortBy', ({ name, sortBy, filters, key }) => {
    it('shows each row once, up and down, whatever is inserted meanwhile', async () => {
      const path = `${paths[name]}?${filters}&sortBy=${sortBy}`;
      // Events show once no transaction before them is open any more.
      let up: string[] = [];
      for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
        up = await walk(`${path}&sortOrder=asc`, key);
        if (rows[name]!.every((each) => up.includes(each))) break;
      }
      expect(up).toEqual(expect.arrayContaining(rows[name]!));
      expect(new Set(up).size).toBe(up.length);
      expect(await walk(`${path}&sortOrder=desc`, key, undefined, [5, 1, 9])).toEqual([...up].reverse());

      const added: string[] = [];
      for (const order of ['asc', 'desc']) {
        let left = 5;
        const seen = await walk(`${path}&sortOrder=${order}`, key, async () => {
          if (--left >= 0) added.push(...(await insert(name, 4)));
        });
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((each) => !added.includes(each))).toEqual(order === 'asc' ? up : [...up].reverse());
      }
      rows[name]!.push(...added);
    });
  });

  it('sorts names whatever their case', async () => {
    for (const name of ['bee', 'Ant', 'Cat']) await app.product({ name, currency: 'NOK' });
    const { items } = await page('/products?currency=NOK&sortBy=name&sortOrder=asc');
    expect(items.map(({ name }) => name)).toEqual(['Ant', 'bee', 'Cat']);
  });

  it('goes on however the parameters are ordered, written or limited', async () => {
    const { pagination } = await page('/orders?currency=CHF&createdFrom=2026-01-01&limit=5');
    const cursor = pagination.nextCursor;
    const expected = (await page(`/orders?currency=CHF&createdFrom=2026-01-01&limit=9&cursor=${cursor}`)).items;
    expect(expected).toHaveLength(9);
    for (const path of [
      `/orders?cursor=${cursor}&createdFrom=2026-01-01T00:00:00Z&limit=9&currency=CHF`,
      `/orders?sortOrder=desc&sortBy=createdAt&createdFrom=2026-01-01&limit=9&cursor=${cursor}&currency=CHF`,
    ])
      expect((await page(path)).items).toEqual(expected);
  });

  it('takes a cursor for nothing but what it was made for', async () => {
    const cursor = (await page('/users?name=tie&limit=2')).pagination.nextCursor as string;
    const flip = (at: number) => cursor.slice(0, at) + (cursor[at] === 'A' ? 'B' : 'A') + cursor.slice(at + 1);
    const forged = Buffer.from(cursor, 'base64url');
    forged[forged.length - 3]! ^= 1;
    const refused = [
      `/users?name=ti&cursor=${cursor}`,
      `/users?cursor=${cursor}`,
      `/users?name=tie&role=user&cursor=${cursor}`,
      `/users?name=tie&sortOrder=asc&cursor=${cursor}`,
      `/users?name=tie&sortBy=updatedAt&cursor=${cursor}`,
      `/products?cursor=${cursor}`,
      `/orders?cursor=${cursor}`,
      `/accounts?cursor=${cursor}`,
      `/users?name=tie&cursor=${cursor}=`,
      `/users?name=tie&cursor=${cursor}A`,
      `/users?name=tie&cursor=${cursor.slice(0, -1)}`,
      `/users?name=tie&cursor=${flip(3)}`,
      `/users?name=tie&cursor=${flip(30)}`,
      `/users?name=tie&cursor=${forged.toString('base64url')}`,
      '/users?cursor=',
      '/users?cursor=nonsense',
      '/users?cursor=%F0%9F%92%A5',
      `/users?cursor=${'A'.repeat(9000)}`,
    ];
    for (const path of refused)
      expect([path, failureOf(await moderator.get(path))]).toEqual([path, '400 INVALID_CURSOR']);
    expect(failureOf(await admin.get(`/users?name=tie&cursor=${cursor}`))).toBe('400 INVALID_CURSOR');
    dataOf(await moderator.get(`/users?name=tie&cursor=${cursor}`));
    expect(fieldsOf(await moderator.get(`/users?name=tie&page=2&cursor=${cursor}`))).toEqual(['page']);
    expect(failureOf(await moderator.get(`/users?cursor=${cursor}&cursor=${cursor}`))).toBe('422 VALIDATION_ERROR');

    const anonymous = (await page('/products?limit=2', app.anonymous)).pagination.nextCursor;
    expect(failureOf(await moderator.get(`/products?status=active&cursor=${anonymous}`))).toBe('400 INVALID_CURSOR');
  });

  it('is paged by number as far as that is cheap, with right totals', async () => {
    const { id: userId } = await app.register();
    const there = ids(23);
    await app.sql(ORDERS, [there, userId]);
    const at = (n: number, limit: number) => page(`/orders?userId=${userId}&page=${n}&limit=${limit}`);
    const pages = [await at(1, 10), await at(2, 10), await at(3, 10), await at(4, 10)];
    const common = { limit: 10, total: 23, totalPages: 3 };
    expect(pages.map(({ pagination }) => pagination)).toEqual([
      { ...common, page: 1, hasNext: true, hasPrev: false },
      { ...common, page: 2, hasNext: true, hasPrev: true },
      { ...common, page: 3, hasNext: false, hasPrev: true },
      { ...common, page: 4, hasNext: false, hasPrev: true },
    ]);
    expect(pages.flatMap(({ items }) => items.map(({ id }) => id)).sort()).toEqual([...there].sort());
    expect(pages[3]!.items).toEqual([]);
    expect((await page('/orders?currency=JPY&page=1')).pagination).toMatchObject({
      total: 0,
      totalPages: 0,
      hasNext: false,
      hasPrev: false,
    });
    expect((await at(100, 100)).items).toEqual([]);
    for (const path of [
      '/orders?page=101&limit=100',
      '/users?page=501',
      '/products?page=10001&limit=1',
      '/orders?page=0',
    ]) {
      const answer = await moderator.get(path);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['page']);
    }
  });

  it('is empty where a range holds nothing', async () => {
    for (const path of [
      '/orders?minTotal=2&maxTotal=1',
      '/orders?createdFrom=2026-02-01&createdTo=2026-01-01',
      '/products?minPrice=2&maxPrice=1',
      '/users?createdFrom=2026-01-01&createdTo=2026-01-01',
    ])
      expect(await page(path)).toEqual({ items: [], pagination: { limit: 20, nextCursor: null, hasNext: false } });
  });
});
