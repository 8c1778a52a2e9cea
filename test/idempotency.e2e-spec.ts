import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Answer, type App, type Client, dataOf, failureOf, PASSWORD, startApp, type UserClient } from './app.js';

describe('idempotency', () => {
  let app: App;
  let admin: UserClient;
  let ann: UserClient;
  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
    ann = await app.register('Ann Archer');
  });
  afterAll(() => app?.stop());

  const keyed = (key: string = randomUUID()) => ({ 'idempotency-key': key });
  const order = (client: Client, productId: string, headers: Record<string, string>, quantity = 1): Promise<Answer> =>
    client.post('/orders', { items: [{ productId, quantity }], metadata: { b: '1', a: '2', 7: 'x' } }, headers);
  const stockOf = async (id: string): Promise<number> => dataOf(await admin.get(`/products/${id}`)).stock;
  const isReplay = ({ headers }: Answer) => headers.get('idempotency-replayed') === 'true';
  const keysLeft = async (key: string) => app.sql('SELECT * FROM idempotency_keys WHERE key = $1', [key]);

  /** An answer without what is allowed to differ. */
  const partsOf = ({ status, headers, text }: Answer) => [
    status,
    headers.get('location'),
    headers.get('etag'),
    headers.get('content-type'),
    text.replace(/"meta":.*$/, ''),
  ];

  /** Holds a product's row, so that whoever orders it waits. */
  async function holding<T>(productId: string, work: (release: () => Promise<void>) => Promise<T>): Promise<T> {
    const client = new pg.Client(app.databaseUrl);
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM products WHERE id = $1 FOR UPDATE', [productId]);
      return await work(async () => {
        await client.query('COMMIT');
      });
    } finally {
      await client.end();
    }
  }

  describe('a key that comes again', () => {
    it('gets the first answer, byte for byte but for meta, and has no second effect', async () => {
      const { id } = await app.product({ stock: 10 });
      const headers = keyed();
      const first = await order(ann, id, headers);
      const second = await order(ann, id, { ...headers, 'x-request-id': 'the-second-request' });

      expect(first.status).toBe(201);
      expect(first.headers.get('location')).toBe(`/api/v1/orders/${first.body.data.id}`);
      expect([isReplay(first), isReplay(second)]).toEqual([false, true]);
      expect(partsOf(second)).toEqual(partsOf(first));
      expect(second.body.meta.requestId).toBe('the-second-request');
      expect(second.body.meta.timestamp).not.toBe(first.body.meta.timestamp);
      expect(await stockOf(id)).toBe(9);
    });

    it.each(['POST /users', 'POST /deposits', 'POST /transfers', 'POST /accounts', 'POST /products'])(
      'means one effect of %s',
      async (route) => {
        const accountId = await app
          .funded(ann, 0, { 'POST /deposits': 'USD', 'POST /transfers': 'GBP' }[route] ?? 'JPY')
          .catch(() => '');
        const bodies: Record<string, () => Promise<[Client, unknown]>> = {
          'POST /users': async () => [admin, { email: 'new@example.com', name: 'New', password: PASSWORD }],
          'POST /deposits': async () => [admin, { accountId, amount: 5 }],
          'POST /transfers': async () => {
            const bob = await app.register('Bob');
            dataOf(await admin.post('/deposits', { accountId, amount: 5 }), 201);
            return [ann, { fromAccountId: accountId, toAccountId: await app.funded(bob, 0, 'GBP'), amount: 5 }];
          },
          'POST /accounts': async () => [ann, { currency: 'CHF' }],
          'POST /products': async () => [admin, { sku: 'ONCE', name: 'Once', price: 1, currency: 'EUR' }],
        };
        const [client, body] = await bodies[route]!();
        const [headers, path] = [keyed(), route.split(' ')[1]!];
        const first = await client.post(path, body, headers);
        expect(first.status).toBe(201);
        const second = await client.post(path, body, headers);
        expect(partsOf(second)).toEqual(partsOf(first));
        expect(isReplay(second)).toBe(true);
      },
    );

    it('is answered from the record also where the state would now forbid it, or the answer has no body', async () => {
      const { id } = await app.product({ stock: 1 });
      const headers = keyed();
      const first = await order(ann, id, headers);
      dataOf(await admin.patch(`/products/${id}`, { status: 'archived' }));
      expect(partsOf(await order(ann, id, headers))).toEqual(partsOf(first));
    });

    it('is refused with 422 where method, path or body differ, even by a blank', async () => {
      const { id } = await app.product();
      const headers = keyed();
      const body = { items: [{ productId: id, quantity: 1 }] };
      const raw = JSON.stringify(body);
      dataOf(await ann.post('/orders', body, headers), 201);
      const again = (path: string, text: string) =>
        app.request('POST', path, { raw: text, headers, ...(ann.token && { token: ann.token }) });

      expect(failureOf(await again('/orders', raw.replace('1}', '2}')))).toBe('422 IDEMPOTENCY_KEY_REUSED');
      expect(failureOf(await again('/orders', `${raw} `))).toBe('422 IDEMPOTENCY_KEY_REUSED');
      expect(failureOf(await again('/orders', '{'))).toBe('422 IDEMPOTENCY_KEY_REUSED');
      expect(failureOf(await again(`/users/${ann.id}/orders`, raw))).toBe('422 IDEMPOTENCY_KEY_REUSED');
      expect(failureOf(await again('/api/v2/orders', raw))).toBe('422 IDEMPOTENCY_KEY_REUSED');
      expect(isReplay(await again('/orders', raw))).toBe(true);
      expect(await stockOf(id)).toBe(9);
    });

    it('belongs to its user: the same key of another is another', async () => {
      const { id } = await app.product({ stock: 10 });
      const bob = await app.register('Bob Baker');
      const headers = keyed('not-so-random');
      const [anns, bobs] = [await order(ann, id, headers), await order(bob, id, headers)];
      expect([anns.status, bobs.status, isReplay(bobs)]).toEqual([201, 201, false]);
      expect(bobs.body.data.userId).toBe(bob.id);
      expect(await stockOf(id)).toBe(8);
    });

    it('is of no use to who is no longer let in', async () => {
      const { id } = await app.product();
      const carl = await app.register('Carl');
      const headers = keyed();
      dataOf(await order(carl, id, headers), 201);
      expect((await carl.post('/auth/logout', undefined, keyed())).status).toBe(204);
      expect((await order(carl, id, headers)).status).toBe(401);
    });
  });

  describe('a request that failed', () => {
    it('leaves no key, whatever it failed of', async () => {
      const { id } = await app.product({ stock: 1 });
      const headers = keyed('failed-before');
      expect(failureOf(await order(ann, id, headers, 2))).toBe('409 INSUFFICIENT_STOCK');
      expect(failureOf(await ann.post('/orders', { items: [] }, headers))).toBe('422 VALIDATION_ERROR');
      expect(failureOf(await app.anonymous.post('/orders', {}, headers))).toBe('401 UNAUTHORIZED');
      expect(failureOf(await ann.post('/deposits', {}, headers))).toBe('403 FORBIDDEN');
      expect(await keysLeft('failed-before')).toEqual([]);
      const answer = await order(ann, id, headers);
      expect([answer.status, isReplay(answer)]).toEqual([201, false]);
    });
  });

  describe('a key', () => {
    it.each(['', ' ', 'a b', 'ä', 'x'.repeat(256), 'tab\there'])('that is %p is none', async (key) => {
      const answer = await ann.post('/accounts', { currency: 'SEK' }, { 'idempotency-key': key });
      expect(failureOf(answer)).toBe('400 INVALID_IDEMPOTENCY_KEY');
    });

    it.each(['x', '~!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}', 'x'.repeat(255)])('may be %p', async (key) => {
      const { id } = await app.product();
      expect((await order(ann, id, keyed(key))).status).toBe(201);
      expect(isReplay(await order(ann, id, keyed(key)))).toBe(true);
    });

    it('given twice is none', async () => {
      const { status, body } = await new Promise<{ status: number | undefined; body: any }>((resolve, reject) => {
        void import('node:http').then(({ request }) => {
          const { hostname, port } = new URL(app.url);
          const call = request(
            {
              hostname,
              port,
              method: 'POST',
              path: '/api/v1/accounts',
              headers: { authorization: `Bearer ${ann.token}`, 'idempotency-key': ['a', 'b'] },
            },
            (response) => {
              let text = '';
              response.on('data', (chunk: Buffer) => (text += chunk.toString()));
              response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) }));
            },
          );
          call.on('error', reject).end();
        });
      });
      expect([status, body.error.code]).toEqual([400, 'INVALID_IDEMPOTENCY_KEY']);
    });

    it('means nothing where nobody is logged in, and for methods that are idempotent anyway', async () => {
      const headers = { 'idempotency-key': 'not a key' };
      const login = { email: ann.user.email, password: PASSWORD };
      dataOf(await app.anonymous.post('/auth/login', login, headers));
      expect(isReplay(await app.anonymous.post('/auth/login', login, keyed('login')))).toBe(false);
      dataOf(await ann.patch(`/users/${ann.id}`, { name: 'Ann Archer' }, headers));
    });
  });

  describe('while the first is running', () => {
    it('the second waits for it and gets its answer', async () => {
      const { id } = await app.product({ stock: 10 });
      const headers = keyed();
      const [first, second] = await holding(id, async (release) => {
        const answers = Promise.all([order(ann, id, headers), order(ann, id, headers)]);
        await sleep(500);
        await release();
        return answers;
      });
      expect(partsOf(second)).toEqual(partsOf(first));
      expect([isReplay(first), isReplay(second)].sort()).toEqual([false, true]);
      expect(await stockOf(id)).toBe(9);
    });

    it('but not for ever: past 5 s it is 409 and told when to try again', async () => {
      const { id } = await app.product({ stock: 10 });
      const headers = keyed();
      const replica = await startApp({ DATABASE_URL: app.databaseUrl });
      try {
        await holding(id, async (release) => {
          const first = order(ann, id, headers);
          await sleep(200);
          const begun = Date.now();
          const others = [order(ann, id, headers), order(replica.as(ann.token!), id, headers)];
          for (const other of await Promise.all(others)) {
            expect(failureOf(other)).toBe('409 IDEMPOTENCY_IN_PROGRESS');
            expect(other.headers.get('retry-after')).toBe('1');
          }
          expect(Date.now() - begun).toBeGreaterThan(4500);
          expect(Date.now() - begun).toBeLessThan(7000);
          await release();
          expect((await first).status).toBe(201);
        });
        expect(isReplay(await order(replica.as(ann.token!), id, headers))).toBe(true);
        expect(await stockOf(id)).toBe(9);
      } finally {
        await replica.stop();
      }
    });

    it('and takes its place where the first fails', async () => {
      const { id } = await app.product({ stock: 1 });
      const headers = keyed();
      const answers = await Promise.all(Array.from({ length: 5 }, () => order(ann, id, headers, 2)));
      expect(answers.map(failureOf)).toEqual(Array(5).fill('409 INSUFFICIENT_STOCK'));
      expect(answers.some(isReplay)).toBe(false);
    });

    it('a hundred at once over two replicas are one order, and get in nobody’s way', async () => {
      const { id } = await app.product({ stock: 1000 });
      const replica = await startApp({ DATABASE_URL: app.databaseUrl });
      try {
        const clients = [app, replica].map((each) => each.as(ann.token!));
        const headers = keyed();
        const [answers, others] = await holding(id, async (release) => {
          const storm = Array.from({ length: 100 }, (_, index) => order(clients[index % 2]!, id, headers));
          await sleep(300);
          // All of the storm waits, with hardly a connection in its hands.
          const others = await Promise.all(Array.from({ length: 20 }, () => admin.get('/users/me')));
          await release();
          return [await Promise.all(storm), others] as const;
        });
        expect(others.every(({ status }) => status === 200)).toBe(true);
        expect(new Set(answers.map((answer) => JSON.stringify(partsOf(answer)))).size).toBe(1);
        expect(answers[0]!.status).toBe(201);
        expect(answers.filter((answer) => !isReplay(answer))).toHaveLength(1);
        expect(await stockOf(id)).toBe(999);
      } finally {
        await replica.stop();
      }
    });

    it('many keys at once do not lock each other out', async () => {
      const { id } = await app.product({ stock: 1000 });
      const twice = Array.from({ length: 40 }, () => keyed()).flatMap((headers) => [headers, headers]);
      const answers = await Promise.all(twice.map((headers) => order(ann, id, headers)));
      expect(answers.map(({ status }) => status)).toEqual(Array(80).fill(201));
      expect(await stockOf(id)).toBe(960);
    });
  });

  describe('when the server dies', () => {
    it('after its answer, the next one replays it', async () => {
      const { id } = await app.product({ stock: 10 });
      const headers = keyed();
      const first = await order(ann, id, headers);
      await app.kill();
      await app.start();
      expect(partsOf(await order(ann, id, headers))).toEqual(partsOf(first));
      expect(await stockOf(id)).toBe(9);
    });

    it('at any moment before, there is both, the effect and the key, or neither', async () => {
      const { id } = await app.product({ stock: 1000 });
      let placed = 0;
      for (const delay of [0, 2, 4, 6, 9, 13]) {
        const storm = Array.from({ length: 10 }, () => keyed());
        const answers = storm.map((headers) => order(ann, id, headers).catch(() => undefined));
        await sleep(delay);
        await app.kill();
        await Promise.all(answers);
        await app.start();
        const retried = await Promise.all(storm.map((headers) => order(ann, id, headers)));
        expect(retried.map(({ status }) => status)).toEqual(Array(10).fill(201));
        placed += storm.length;
        expect(await stockOf(id)).toBe(1000 - placed);
      }
    });
  });

  describe('what is kept', () => {
    it('holds no password, not even a hash that is quick to try', async () => {
      const body = { email: 'kept@example.com', name: 'Kept', password: PASSWORD };
      dataOf(await admin.post('/users', body, keyed('kept')), 201);
      const [row] = await keysLeft('kept');
      expect(JSON.stringify(row)).not.toContain(PASSWORD);
    });

    it('is free again after a day, and cleaned up', async () => {
      const { id } = await app.product({ stock: 10 });
      const [old, older] = [keyed(), keyed()];
      dataOf(await order(ann, id, old), 201);
      dataOf(await order(ann, id, older), 201);
      await app.sql(
        `UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second' WHERE key = ANY($1)`,
        [[old['idempotency-key'], older['idempotency-key']]],
      );
      const answer = await order(ann, id, old);
      expect([answer.status, isReplay(answer)]).toEqual([201, false]);
      expect(isReplay(await order(ann, id, old))).toBe(true);
      expect(await stockOf(id)).toBe(7);

      await app.restart();
      for (let tries = 0; tries < 50 && (await keysLeft(older['idempotency-key'])).length > 0; tries++)
        await sleep(100);
      expect(await keysLeft(older['idempotency-key'])).toEqual([]);
      expect(await keysLeft(old['idempotency-key'])).toHaveLength(1);
    });

    it('is given again where there is nothing in it', async () => {
      const bea = await app.register('Bea');
      const resend = () => bea.post('/auth/email/resend', undefined, keyed('resend'));
      expect(dataOf(await resend(), 202)).toBeNull();
      const again = await resend();
      expect([dataOf(again, 202), isReplay(again)]).toEqual([null, true]);
    });

    it('of a person goes when they go, and what made them makes nobody anew', async () => {
      const dora = { email: 'dora@example.com', name: 'Dora', password: PASSWORD };
      const { id: productId } = await app.product({ stock: 10 });
      const ways = [
        { path: '/users', body: dora, client: admin },
        {
          path: '/checkouts',
          body: { user: { ...dora, email: 'guest@example.com' }, order: { items: [{ productId, quantity: 1 }] } },
          client: app.anonymous,
        },
      ];
      for (const { path, body, client } of ways) {
        const made = `made-by${path.replace('/', '-')}`;
        dataOf(await client.post(path, body, keyed(made)), 201);
        const self = await app.login('user' in body ? body.user.email : body.email);
        dataOf(await self.post('/accounts', { currency: 'EUR' }, keyed('their-own')), 201);
        expect((await self.delete(`/users/${self.id}`)).status).toBe(204);
        const kept = JSON.stringify([await keysLeft(made), await keysLeft('their-own')]);
        expect(kept).not.toMatch(/Dora|example\.com|their-own/);

        expect(failureOf(await client.post(path, body, keyed(made)))).toBe('409 CONFLICT');
        expect(failureOf(await admin.get(`/users/${self.id}`))).toBe('404 NOT_FOUND');
      }
      expect(await stockOf(productId)).toBe(10);
      expect(await app.sql(`SELECT FROM users WHERE email IN ('dora@example.com', 'guest@example.com')`)).toEqual([]);
    });
  });
});
