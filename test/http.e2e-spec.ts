import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { get, request } from 'node:http';
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
import { stopwatch } from './stopwatch.js';

describe('HTTP', () => {
  let app: App;
  let nobody: Client;
  let user: UserClient;
  beforeAll(async () => {
    app = await startApp({ CORS_ORIGINS: 'https://shop.example' });
    nobody = app.anonymous;
    user = await app.register();
  });
  afterAll(() => app?.stop());

  /** Sends the path as it stands; fetch would tidy it up first. */
  const raw = (method: string, path: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(app.url);
      const call = request({ hostname, port, method, path }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          resolve({ status: response.statusCode!, headers: new Headers(), body: JSON.parse(text), text });
        });
      });
      call.on('error', reject).end();
    });
  const login = (raw: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Answer> =>
    app.request('POST', '/auth/login', { raw, headers });

  describe('answers', () => {
    it('come in an envelope, with the request’s id', async () => {
      const answer = await user.get('/users/me', { 'x-request-id': 'my-request_1.2' });
      expect(answer.body).toEqual({
        success: true,
        data: user.user,
        meta: { requestId: 'my-request_1.2', timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/) },
      });
      expect(answer.headers.get('x-request-id')).toBe('my-request_1.2');
      expect(answer.headers.get('vary')).toMatch(/Authorization, Accept/);
      expect(answer.headers.get('cache-control')).toBe('private, no-cache');
    });

    it.each(['short', 'white space', 'x'.repeat(129), '<script>'])('make an id where %p comes', async (given) => {
      const answer = await nobody.get('/products', { 'x-request-id': given });
      expect(answer.body.meta.requestId).not.toBe(given);
      expect(answer.headers.get('x-request-id')).toBe(answer.body.meta.requestId);
      expect((await nobody.get('/products')).body.meta.requestId).not.toBe(answer.body.meta.requestId);
    });

    it('can be found in the log by that id', async () => {
      await user.get('/users/me?x=secret', { 'x-request-id': 'find-me-please' });
      const lines = await app.logged(({ requestId }) => requestId === 'find-me-please');
      expect(lines).toMatchObject([{ method: 'GET', route: '/api/v1/users/me', status: 422, userId: user.id }]);
    });

    it('come as problem details to who asks for them', async () => {
      const headers = { accept: 'application/problem+json' };
      const answer = await app.request('POST', '/auth/login', { body: { email: 'a' }, headers });
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(answer.body).toEqual({
        type: expect.any(String),
        title: 'Unprocessable Entity',
        status: 422,
        detail: expect.any(String),
        instance: '/api/v1/auth/login',
        code: 'VALIDATION_ERROR',
        details: expect.any(Array),
        requestId: answer.headers.get('x-request-id'),
      });
      const unknown = await nobody.get('/nowhere', headers);
      expect([unknown.status, unknown.body.code, unknown.body.title]).toEqual([404, 'NOT_FOUND', 'Not Found']);
      expect((await nobody.get('/products', headers)).body.success).toBe(true);
      const unwanted = await nobody.get('/nowhere', { accept: 'application/problem+json;q=0, */*' });
      expect(failureOf(unwanted)).toBe('404 NOT_FOUND');
    });
  });

  describe('what does not exist', () => {
    it.each(['/nowhere', '/api/v9/users', '/api', '/users/me/nothing', '/health/nothing'])(
      '%s is 404',
      async (path) => {
        const answer = await nobody.get(path);
        expect(failureOf(answer)).toBe('404 NOT_FOUND');
        expect(answer.headers.get('x-request-id')).toBe(answer.body.meta.requestId);
      },
    );

    it('a method that a path does not take is 405, and says which ones it takes', async () => {
      const allowed = async (method: string, path: string) => {
        const answer = await app.request(method, path);
        expect(failureOf(answer)).toBe('405 METHOD_NOT_ALLOWED');
        return answer.headers.get('allow');
      };
      expect(await allowed('GET', '/auth/login')).toBe('POST');
      expect(await allowed('DELETE', '/orders')).toMatch(/^GET, (HEAD, )?POST$/);
      expect(await allowed('PATCH', `/orders/${NOTHING}/payments`)).toBe('POST');
      expect(await allowed('POST', '/health/live')).toBe('GET, HEAD');
      expect(await allowed('DELETE', '/openapi.json')).toBe('GET, HEAD');
      for (const method of ['PUT', 'PATCH', 'DELETE']) {
        expect(await allowed(method, '/users/me')).toBe('GET, HEAD');
        expect(await allowed(method, '/api/v2/users/me')).toBe('GET, HEAD');
      }
    });

    it('a path that can not be decoded is 400', async () => {
      expect(failureOf(await nobody.get('/users/%ZZ'))).toBe('400 MALFORMED_REQUEST');
    });

    it('no path has another spelling', async () => {
      for (const path of [
        '/products/',
        '//products',
        '/Products',
        '/products;limit=1',
        '/x/../products',
        '/pro%2Fducts',
      ]) {
        expect([path, failureOf(await raw('GET', `/api/v1${path}`))]).toEqual([path, '404 NOT_FOUND']);
      }
    });

    it('a path id that is no UUID is 422, however long', async () => {
      for (const id of ['x', '%00', 'a'.repeat(3000), `${NOTHING}0`, `%20${NOTHING}`, 'a%2Fb', '{id}', "' OR 1=1"]) {
        expect([id, failureOf(await raw('GET', `/api/v1/products/${id.replaceAll(' ', '%20')}`))]).toEqual([
          id,
          '422 VALIDATION_ERROR',
        ]);
      }
      expect(failureOf(await nobody.get(`/products/${NOTHING.toUpperCase()}`))).toBe('404 NOT_FOUND');
    });

    it('shows nothing of its inside', async () => {
      for (const path of ['/users/%00', `/users/${'a'.repeat(3000)}`, '/products?cursor=%00', '/products?q=%00']) {
        const answer = await user.get(path);
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
        expect(answer.text).not.toMatch(/node_modules|at \w+ \(|SELECT|QueryFailed/);
      }
    });
  });

  describe('a body', () => {
    it('has to be JSON', async () => {
      expect(failureOf(await login('{"email":'))).toBe('400 MALFORMED_REQUEST');
      expect(failureOf(await login(''))).toBe('400 MALFORMED_REQUEST');
      expect(failureOf(await login('{} {}'))).toBe('400 MALFORMED_REQUEST');
      expect(failureOf(await login(Uint8Array.from([0x22, 0xff, 0x22])))).toBe('400 MALFORMED_REQUEST');
      expect(failureOf(await nobody.post('/auth/login'))).toBe('400 MALFORMED_REQUEST');
    });

    it('has to say so', async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/xml',
      ]) {
        expect(failureOf(await login('{}', { 'content-type': type }))).toBe('415 UNSUPPORTED_MEDIA_TYPE');
      }
      for (const type of ['application/json; charset=latin1', 'application/merge-patch+json', ';;;', 'json', 'x']) {
        expect(failureOf(await login('{}', { 'content-type': type }))).toBe('415 UNSUPPORTED_MEDIA_TYPE');
      }
      for (const type of ['application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"']) {
        expect((await login('{}', { 'content-type': type })).status).toBe(422);
      }
      expect(failureOf(await login('{}', { 'content-encoding': 'gzip' }))).toBe('415 UNSUPPORTED_MEDIA_TYPE');
    });

    it('has at most 100 KiB', async () => {
      const ofLength = (length: number) => `{"email":"${'x'.repeat(length - 12)}"}`;
      expect(failureOf(await login(ofLength(102_401)))).toBe('413 PAYLOAD_TOO_LARGE');
      expect(failureOf(await login(ofLength(102_400)))).toBe('422 VALIDATION_ERROR');
    });

    it.each(['[]', '"text"', '7', 'true', 'null', '[{"email":"a@example.com"}]'])(
      'that is %s is no object',
      async (raw) => {
        expect(failureOf(await login(raw))).toBe('422 VALIDATION_ERROR');
      },
    );

    it('has no properties that nobody knows', async () => {
      const answer = await nobody.post('/auth/login', { email: 'a@example.com', password: 'x', admin: true });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['admin']);
    });

    it.each([
      ['NUL', '{"email":"a\\u0000b@example.com","password":"x"}'],
      ['a lone surrogate', '{"email":"\\ud800@example.com","password":"x"}'],
      ['NUL in a name', '{"em\\u0000ail":"a@example.com"}'],
      ['__proto__', '{"email":"a@example.com","password":"x","__proto__":{"role":"admin"}}'],
      ['constructor', '{"email":"a@example.com","password":"x","constructor":{"prototype":{}}}'],
      ['prototype', '{"email":"a@example.com","password":"x","prototype":1}'],
      ['nesting without end', `{"email":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
      ['an object for a text', '{"email":{"$ne":null},"password":{"$ne":null}}'],
      ['a list for a text', '{"email":["a@example.com"],"password":["x"]}'],
    ])('with %s is refused, and does no harm', async (_, raw) => {
      expect(failureOf(await login(raw))).toBe('422 VALIDATION_ERROR');
      expect((await nobody.get('/health/live')).status).toBe(200);
    });

    it('has no number that JSON does not carry exactly', async () => {
      const admin = await app.admin();
      for (const price of ['9007199254740992', '9007199254740993', '1e999', '1.5', '-1']) {
        const raw = `{"sku":"BIG","name":"Big","currency":"EUR","price":${price}}`;
        const answer = await app.request('POST', '/products', { raw, token: admin.token });
        expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
        expect(new Set(fieldsOf(answer))).toEqual(new Set(['price']));
      }
    });

    it('loses nothing on its way in: no value that is given twice, no digit', async () => {
      const { token } = await app.admin();
      const refused = async (path: string, raw: string) => {
        const answer = await app.request('POST', path, { raw, ...(token && { token }) });
        expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
        return fieldsOf(answer);
      };
      expect(await refused('/auth/login', '{"email":"a@example.com","password":"x","email":"b@example.com"}')).toEqual([
        'email',
      ]);
      expect(await refused('/auth/login', '{"email":"a@example.com","password":"x","p\\u0061ssword":"y"}')).toEqual([
        'password',
      ]);
      const item = `{"productId":"${NOTHING}","quantity":1,"quantity":2}`;
      expect(await refused('/orders', `{"items":[${item}]}`)).toEqual(['items[0].quantity']);
      const product = (price: string) => `{"sku":"ODD","name":"Odd","currency":"EUR","price":${price}}`;
      for (const price of ['1.0000000000000000001', '0.9999999999999999999', '1e-400', '123456789012345678']) {
        expect(await refused('/products', product(price))).toContain('price');
      }
      const whole = await app.request('POST', '/products', { raw: product('1.50e1'), ...(token && { token }) });
      expect(dataOf(whole, 201).price).toBe(15);
    });

    it('of a hundred thousand things is refused in good time', async () => {
      const took = stopwatch();
      const many = JSON.stringify({ items: Array(50_000).fill(1) }).slice(0, 102_398);
      const answer = await app.request('POST', '/orders', { raw: many, ...(user.token && { token: user.token }) });
      expect(failureOf(answer)).toMatch(/^(422 VALIDATION_ERROR|413 PAYLOAD_TOO_LARGE)$/);
      expect(answer.text.length).toBeLessThan(10_000);
      expect(took()).toBeLessThan(2000);
    });

    it('has no names that every object has', async () => {
      const body = { items: [], metadata: JSON.parse('{"gift":"x","__proto__":"y"}') };
      expect(fieldsOf(await user.post('/orders', body))).toEqual(['metadata.__proto__']);
      expect(fieldsOf(await nobody.post('/auth/login', { toString: 'x' }))).toEqual(['toString']);
    });

    it('is judged only after its sender', async () => {
      expect(failureOf(await app.request('POST', '/products', { raw: '{' }))).toBe('401 UNAUTHORIZED');
      expect(failureOf(await app.request('POST', '/products', { raw: '{', token: user.token }))).toBe('403 FORBIDDEN');
    });
  });

  describe('a query', () => {
    it.each([
      'limit=1&limit=2',
      'limit=1.0',
      'limit=%201',
      'limit=1e1',
      'limit=0x5',
      'limit=',
      'limit[]=5',
      'page=0',
      'page=-1',
      'minPrice=x',
      'inStock=yes',
    ])('with %s is refused', async (query) => {
      const answer = await nobody.get(`/products?${query}`);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(new Set(fieldsOf(answer))).toEqual(new Set([query.split('=')[0]]));
    });

    it.each(['q=%', 'q=%zz', 'q=%ff', 'q=%e2%82', '%=1', 'limit=1&x=%c0%80'])(
      '%s can not be decoded',
      async (query) => {
        expect(failureOf(await raw('GET', `/api/v1/products?${query}`))).toBe('400 MALFORMED_REQUEST');
        expect(failureOf(await raw('GET', `/api/v1/products/${NOTHING}?${query}`))).toBe('400 MALFORMED_REQUEST');
      },
    );

    it('is refused where a route takes none', async () => {
      for (const path of [`/products/${NOTHING}?x=1`, '/users/me?fields=id', '/users/me?=', '/users/me?a[b]=1']) {
        expect(failureOf(await user.get(path))).toBe('422 VALIDATION_ERROR');
      }
      expect((await user.get('/users/me?')).status).toBe(200);
      expect((await user.get('/users/me?&')).status).toBe(200);
    });

    it('has dates that PostgreSQL can hold', async () => {
      for (const date of ['9999-12-31', '0001-01-01', '9999-12-31T23:59:59.999-23:59', '0001-01-01T00:00:00%2B14:00']) {
        expect((await user.get(`/orders?createdFrom=${date}`)).status).toBe(200);
      }
      for (const date of ['10000-01-01', '+275760-09-13', '-000001-01-01', '2026-13-01', '2026-01-01T25:00Z', '']) {
        expect(failureOf(await user.get(`/orders?createdFrom=${date}`))).toBe('422 VALIDATION_ERROR');
      }
    });

    it('is refused where a route reads none, unless it is empty', async () => {
      const post = async (raw: string, headers = {}) =>
        failureOf(await app.request('POST', '/auth/email/resend', { token: user.token, raw, headers }));
      expect(await post('{"a":1}')).toBe('422 VALIDATION_ERROR');
      expect(await post('[]')).toBe('422 VALIDATION_ERROR');
      expect(await post('{bad')).toBe('400 MALFORMED_REQUEST');
      expect(await post('hello', { 'content-type': 'text/plain' })).toBe('415 UNSUPPORTED_MEDIA_TYPE');
      expect(await post('{}')).toBe('202 undefined');
    });

    it('with __proto__ or unknown names is refused', async () => {
      for (const query of ['__proto__=1', 'constructor=1', 'prototype=1', 'nothing=1', 'sortBy=price;drop']) {
        expect(failureOf(await nobody.get(`/products?${query}`))).toBe('422 VALIDATION_ERROR');
      }
    });
  });

  describe('headers', () => {
    it('tell browsers to be careful', async () => {
      const { headers } = await nobody.get('/products');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toMatch(/default-src/);
      expect(headers.get('strict-transport-security')).toMatch(/max-age=\d+/);
      expect(headers.get('x-frame-options')).toMatch(/SAMEORIGIN|DENY/);
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('server')).toBeNull();
    });

    it('let the origins in that are named, and no other', async () => {
      const preflight = (origin: string) =>
        app.request('OPTIONS', '/orders', {
          headers: {
            origin,
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'authorization,content-type,idempotency-key',
          },
        });
      const welcome = await preflight('https://shop.example');
      expect(welcome.status).toBe(204);
      expect(welcome.headers.get('access-control-allow-origin')).toBe('https://shop.example');
      const methods = welcome.headers.get('access-control-allow-methods');
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) expect(methods).toContain(method);
      expect(welcome.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
      expect(welcome.headers.get('vary')).toMatch(/Authorization, Accept.*Origin/);
      expect(welcome.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization');
      expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();

      const answer = await nobody.get('/products', { origin: 'https://shop.example' });
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://shop.example');
      expect(answer.headers.get('vary')).toMatch(/Origin/);
      const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase();
      for (const name of ['x-request-id', 'location', 'retry-after']) expect(exposed).toContain(name);
      const refused = await nobody.get('/nowhere', { origin: 'https://shop.example' });
      expect(refused.headers.get('access-control-allow-origin')).toBe('https://shop.example');
    });

    it('are the usual ones where OPTIONS is not what a browser asks before it asks', async () => {
      const known = await app.request('OPTIONS', '/products', { headers: { origin: 'https://shop.example' } });
      expect(failureOf(known)).toBe('405 METHOD_NOT_ALLOWED');
      expect(known.headers.get('allow')).toContain('GET');
      expect(failureOf(await app.request('OPTIONS', '/nowhere'))).toBe('404 NOT_FOUND');
    });
  });

  describe('what is not quite HTTP', () => {
    const send = (text: string): Promise<{ status: number; head: string; body: any }> =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(app.url);
        let received = '';
        const socket = connect(Number(port), hostname);
        socket.on('data', (chunk) => {
          received += chunk.toString();
          const [head = '', ...rest] = received.split('\r\n\r\n');
          if (Number(/content-length: (\d+)/i.exec(head)?.[1]) > Buffer.byteLength(rest.join(''))) return;
          socket.destroy();
          resolve({ status: Number(received.slice(9, 12)), head, body: JSON.parse(rest.join('')) });
        });
        socket.on('error', reject);
        socket.write(text);
      });
    const post = (headers: string, body: string) =>
      send(
        `POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`,
      );

    it.each([
      ['no request at all', 400, () => send('what?\r\n\r\n')],
      ['a method that nobody knows', 400, () => send('FOO /api/v1/products HTTP/1.1\r\nHost: x\r\n\r\n')],
      ['no host', 400, () => send('GET /api/v1/products HTTP/1.1\r\n\r\n')],
      [
        'two tokens',
        400,
        () => send('GET /api/v1/products HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nauthorization: b\r\n\r\n'),
      ],
      ['a host that is none', 400, () => send('GET /api/v1/products HTTP/1.1\r\nHost: a b/c\r\n\r\n')],
      ['two hosts', 400, () => send('GET /api/v1/products HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n')],
      ['headers without end', 431, () => send(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)],
      ['a path without end', 431, () => send(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)],
      ['two lengths', 400, () => post('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
      ['a length that is none', 400, () => post('Content-Length: two', '{}')],
      ['chunks that are none', 400, () => post('Transfer-Encoding: chunked', 'ZZ\r\n{}\r\n0\r\n\r\n')],
    ])('%s is answered in the envelope', async (_, status, sent) => {
      const answer = await sent();
      expect(answer.status).toBe(status);
      expect(answer.head).toMatch(/\r\nContent-Type: application\/json/i);
      expect(answer.head).toMatch(/\r\nVary: Authorization, Accept/i);
      expect(answer.body).toEqual({
        success: false,
        error: { code: 'MALFORMED_REQUEST', message: expect.any(String) },
        meta: { requestId: expect.any(String), timestamp: expect.any(String) },
      });
    });

    /** All that comes until the server hangs up; `isLast` tells it that no more will be sent. */
    const talk = (text: string, isLast = false): Promise<string> =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(app.url);
        let received = '';
        const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
        socket.on('data', (chunk) => (received += chunk.toString()));
        socket.on('error', reject);
        socket.on('end', () => {
          socket.end();
          resolve(received);
        });
        if (isLast) socket.end(text);
        else socket.write(text);
      });
    const statusesOf = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

    it('is answered behind what was asked before it over the same connection', async () => {
      const login = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
      const sound = `GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n${login}Content-Length: 2\r\n\r\n{}`;
      expect(statusesOf(await talk(`${sound}BAD\r\n\r\n`))).toEqual([200, 422, 400]);
      expect(statusesOf(await talk(`${sound}${login}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`))).toEqual([
        200, 422, 400,
      ]);
    });

    it('a client that sends no more has its answers', async () => {
      const list = 'GET /api/v1/products?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n';
      expect(statusesOf(await talk(list.repeat(2), true))).toEqual([200, 200]);
    });

    it('a header counts wherever it stands', async () => {
      const { head } = await send(
        `GET /api/v1/products HTTP/1.1\r\nHost: x\r\n${'a:\r\n'.repeat(2000)}X-Request-Id: behind-all-of-them\r\n\r\n`,
      );
      expect(head).toMatch(/\r\nx-request-id: behind-all-of-them/i);
    });

    it('too much in chunks is 413, as with a length', async () => {
      const chunk = `4e20\r\n${'x'.repeat(20_000)}\r\n`;
      const answer = await post('Transfer-Encoding: chunked', chunk.repeat(6));
      expect([answer.status, answer.body.error.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    });

    it('HTTP/1.0, chunks and unknown expectations are fine', async () => {
      expect((await send('GET /api/v1/products HTTP/1.0\r\n\r\n')).status).toBe(200);
      expect((await post('Transfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n')).status).toBe(422);
      expect((await post('Expect: the-unexpected\r\nContent-Length: 2', '{}')).status).toBe(422);
    });
  });

  it.each([
    '/docs/..',
    '/docs/.',
    '/docs/%00',
    '/docs//swagger-ui.css',
    '/docs/%2e%2e%5c',
    '/docs/../../../package.json',
  ])('%s is nowhere, and no defect', async (path) => {
    const { hostname, port } = new URL(app.url);
    // As it is: `fetch` would resolve the dots by itself.
    const status = await new Promise((done, fail) => {
      get({ hostname, port, path }, (response) => done(response.resume().statusCode)).on('error', fail);
    });
    expect([400, 404]).toContain(status);
  });

  describe('health', () => {
    it('is told to anybody', async () => {
      const health = await nobody.get('/health');
      expect(health.status).toBe(200);
      expect(health.body).toMatchObject({ status: 'healthy', checks: { database: 'connected', disk: 'sufficient' } });
      expect((await nobody.get('/health/live')).status).toBe(200);
      expect((await nobody.get('/health/ready')).status).toBe(200);
    });
  });

  it('metrics are not shown on the main port outside development', async () => {
    expect(failureOf(await nobody.get('/metrics'))).toBe('404 NOT_FOUND');
  });
});

describe('metrics', () => {
  it('are on the main port in development', async () => {
    const app = await startApp({ NODE_ENV: 'development' });
    try {
      await app.anonymous.get(`/products/${NOTHING}`);
      const { status, text, headers } = await app.anonymous.get('/metrics');
      expect(status).toBe(200);
      expect(headers.get('content-type')).toMatch(/^text\/plain/);
      expect(text).toMatch(/stoa_http_requests_total\{method="GET",route="\/api\/v1\/products\/:id",status="404"\} 1/);
      expect(text).not.toContain(NOTHING);
    } finally {
      await app.stop();
    }
  });

  it('are on a port of their own where one is given', async () => {
    const port = await freePort();
    const app = await startApp({ NODE_ENV: 'development', METRICS_PORT: String(port) });
    try {
      expect((await app.anonymous.get('/metrics')).status).toBe(404);
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain('process_cpu_seconds_total');
    } finally {
      expect(await app.end()).toBe(0);
    }
  });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
