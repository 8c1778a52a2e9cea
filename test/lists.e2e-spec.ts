import { type App, type Client, dataOf, failureOf, fieldsOf, startApp, type UserClient } from './app.js';

const HEX = '0123456789abcdef';

/** Rows whose sort keys mostly tie. */
const INSERT = {
  users: `INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
    SELECT id, 'tie' || id || '@example.com', 'tie' || id || '@example.com',
           (ARRAY['tie', 'Tie', 'TIE É', 'tie é'])[1 + n % 4], 'user', 1, 'x', false,
           timestamptz '2026-01-01' + (n % 3) * interval '1 ms', timestamptz '2026-01-01', 1
      FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
  products: `INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
    SELECT id, id, (ARRAY['tie', 'Tie', 'other'])[1 + n % 3], '', n % 2, 'CHF', n % 2, 'active',
           timestamptz '2026-01-01' + (n % 3) * interval '1 ms', now(), 1, 1
      FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n)`,
  orders: `INSERT INTO orders (id, number, user_id, status, currency, total, metadata, created_at, updated_at, expires_at, version)
    SELECT rows.id, rows.id, users.id, 'cancelled', 'CHF', n % 3, '{}',
           timestamptz '2026-01-01' + (n % 3) * interval '1 ms', timestamptz '2026-01-01' + (n % 2) * interval '1 ms', now(), 1
      FROM unnest($1::uuid[]) WITH ORDINALITY AS rows (id, n), users WHERE email_key = 'admin@example.com'`,
} as const;
type Table = keyof typeof INSERT;

describe('every list', () => {
  let app: App;
  let admin: UserClient;
  let moderator: UserClient;
  let count = 0;
  const rows: Partial<Record<Table, string[]>> = {};

  /** So many ids, all over the range of them. */
  const ids = (many: number): string[] =>
    Array.from({ length: many }, () => {
      const spread = HEX[(++count * 7) % 16]!.repeat(8);
      return `${spread}-0000-7000-8000-${count.toString(16).padStart(12, '0')}`;
    });

  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
    moderator = await app.moderator();
    for (const table of Object.keys(INSERT) as Table[]) {
      rows[table] = ids(23);
      await app.sql(INSERT[table], [rows[table]]);
    }
  });
  afterAll(() => app?.stop());

  const page = async (path: string, client: Client = moderator) => {
    const answer = await client.get(path);
    return { items: dataOf(answer) as any[], pagination: answer.body.meta.pagination };
  };
  const walk = async (path: string, between?: () => Promise<unknown>, limits = [4]): Promise<string[]> => {
    const seen: string[] = [];
    for (let cursor: string | null = '', n = 0; cursor !== null; n++) {
      const limit = limits[n % limits.length];
      const { items, pagination } = await page(`${path}&limit=${limit}${cursor && `&cursor=${cursor}`}`);
      expect(items.length).toBeLessThanOrEqual(limit!);
      const isLast = pagination.nextCursor === null;
      expect(pagination).toEqual({ limit, nextCursor: isLast ? null : expect.any(String), hasNext: !isLast });
      seen.push(...items.map(({ id }) => id));
      cursor = pagination.nextCursor;
      await between?.();
    }
    return seen;
  };

  describe.each([
    ['users', 'createdAt', 'email=TIE&role=user'],
    ['users', 'updatedAt', 'createdFrom=2026-01-01&createdTo=2026-01-02'],
    ['users', 'email', 'email=tie'],
    ['users', 'name', 'name=TIE'],
    ['products', 'createdAt', 'currency=CHF&maxPrice=1'],
    ['products', 'price', 'currency=CHF&status=active'],
    ['products', 'name', 'currency=CHF'],
    ['orders', 'createdAt', 'currency=CHF&status=cancelled'],
    ['orders', 'updatedAt', 'currency=CHF&createdFrom=2026-01-01'],
    ['orders', 'total', 'currency=CHF&minTotal=0&maxTotal=2'],
  ] as const)('%s by %s', (table, sortBy, filters) => {
    it('shows each row once, up and down, whatever is inserted meanwhile', async () => {
      const path = `/${table}?${filters}&sortBy=${sortBy}`;
      const up = await walk(`${path}&sortOrder=asc`);
      expect([...up].sort()).toEqual([...rows[table]!].sort());
      expect(await walk(`${path}&sortOrder=desc`, undefined, [5, 1, 9])).toEqual([...up].reverse());

      for (const order of ['asc', 'desc']) {
        let left = 5;
        const added: string[] = [];
        const seen = await walk(`${path}&sortOrder=${order}`, async () => {
          if (--left < 0) return;
          const more = ids(4);
          added.push(...more);
          await app.sql(INSERT[table], [more]);
        });
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((id) => !added.includes(id))).toEqual(order === 'asc' ? up : [...up].reverse());
        await app.sql(`DELETE FROM ${table} WHERE id = ANY($1)`, [added]);
      }
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
      `/users?cursor=${'A'.repeat(4000)}`,
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
    const at = (n: number, limit: number) => page(`/orders?currency=CHF&page=${n}&limit=${limit}`);
    const pages = [await at(1, 10), await at(2, 10), await at(3, 10), await at(4, 10)];
    const common = { limit: 10, total: 23, totalPages: 3 };
    expect(pages.map(({ pagination }) => pagination)).toEqual([
      { ...common, page: 1, hasNext: true, hasPrev: false },
      { ...common, page: 2, hasNext: true, hasPrev: true },
      { ...common, page: 3, hasNext: false, hasPrev: true },
      { ...common, page: 4, hasNext: false, hasPrev: true },
    ]);
    expect(pages.flatMap(({ items }) => items.map(({ id }) => id)).sort()).toEqual([...rows.orders!].sort());
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
