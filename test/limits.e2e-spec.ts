import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type App, dataOf, failureOf, startApp } from './app.js';

const WRONG = 'Wrong-Horse-1';
const standing = ({ headers }: Answer) => ['limit', 'remaining'].map((name) => headers.get(`ratelimit-${name}`));
const waitOf = ({ headers }: Answer) => Number(headers.get('retry-after'));

/** Sends it as the client of a proxy that we trust. */
const from = (ip: string) => ({ 'x-forwarded-for': ip });

describe('requests', () => {
  /** In seconds: longer than a busy machine may stand still in the middle of a test. */
  const WINDOW = 10;
  let app: App;
  beforeAll(async () => {
    app = await startApp({
      RATE_LIMIT_ANONYMOUS: '4',
      RATE_LIMIT_USER: '3',
      RATE_LIMIT_WINDOW: String(WINDOW),
      TRUST_PROXY: '127.0.0.1',
    });
  });
  afterAll(() => app?.stop());

  let last = 0;
  /** Nobody has been here before. */
  const newIp = () => `198.51.100.${++last}`;

  it('slide: each place is free again one window after it was taken', async () => {
    const ip = from(newIp());
    const get = () => app.anonymous.get('/products', ip);
    await get();
    await sleep(WINDOW * 500);
    for (let i = 0; i < 3; i++) expect((await get()).status).toBe(200);
    const refused = await get();
    expect(failureOf(refused)).toBe('429 RATE_LIMITED');
    for (const path of ['/health', '/health/live', '/health/ready', '/openapi.json', '/docs']) {
      expect((await app.anonymous.get(path, ip)).status).not.toBe(429);
    }
    expect(waitOf(refused)).toBeGreaterThanOrEqual(1);
    expect(waitOf(refused)).toBeLessThanOrEqual(WINDOW / 2);
    expect(waitOf(refused)).toBe(Number(refused.headers.get('ratelimit-reset')));
    await sleep(waitOf(refused) * 1000);
    expect((await get()).status).toBe(200);
    expect((await get()).status).toBe(429);
  });

  it('of a user count for the user, also where nobody else has looked at the token', async () => {
    const ann = await app.register();
    const ip = from(newIp());
    const big = await ann.post('/orders', { note: 'x'.repeat(110_000) }, ip);
    const odd = await ann.get('/users/%zz', ip);
    expect([big, odd].map(({ status }) => status)).toEqual([413, 400]);
    expect([big, odd].map(standing)).toEqual([
      ['3', '2'],
      ['3', '1'],
    ]);
    const nobody = await app.as('no.good.token').get('/users/%zz', ip);
    expect(standing(nobody)).toEqual(['4', '3']);
  });

  it('count whatever comes of them, and every answer says where one stands', async () => {
    const odd: (() => Promise<Answer>)[] = [
      () => app.request('POST', '/auth/login', { raw: '{', headers: from('198.51.101.1') }),
      () => app.anonymous.get('/nowhere', from('198.51.101.2')),
      () => app.anonymous.delete('/auth/login', from('198.51.101.3')),
      () => app.anonymous.get('/users/me', from('198.51.101.4')),
      () => app.as('no.good.token').get('/users/me', from('198.51.101.5')),
      () => app.anonymous.get('/products/no-uuid', from('198.51.101.6')),
      () => app.anonymous.post('/auth/login', { email: 'x'.repeat(110_000) }, from('198.51.101.7')),
      () =>
        app.request('POST', '/auth/login', {
          raw: 'a',
          headers: { ...from('198.51.101.8'), 'content-type': 'text/plain' },
        }),
      () => app.anonymous.get('/elsewhere', from('198.51.101.10')),
    ];
    for (const send of odd) {
      for (const remaining of ['3', '2', '1', '0']) {
        const answer = await send();
        expect([answer.status, ...standing(answer)]).toEqual([answer.status, '4', remaining]);
        expect(answer.headers.get('ratelimit-policy')).toBe('"anonymous";q=4;w=10');
        expect(answer.headers.get('ratelimit')).toMatch(/^"anonymous";r=\d;t=([1-9]|10)$/);
      }
      const refused = await send();
      expect(failureOf(refused)).toBe('429 RATE_LIMITED');
      expect(standing(refused)).toEqual(['4', '0']);
      expect(waitOf(refused)).toBeGreaterThanOrEqual(1);
      expect(waitOf(refused)).toBeLessThanOrEqual(WINDOW);
    }
  });

  it('of a user count for the user, wherever they come from', async () => {
    const ann = await app.register('Ann');
    for (const remaining of ['2', '1', '0']) {
      const answer = await ann.get('/users/me', from(newIp()));
      expect(standing(answer)).toEqual(['3', remaining]);
      expect(answer.headers.get('ratelimit-policy')).toBe('"user";q=3;w=10');
    }
    expect((await ann.get('/users/me', from(newIp()))).status).toBe(429);
    dataOf(await (await app.register('Bob')).get('/users/me'));
  });

  it('of a user count for the user also where there is no such route, and those with a bad token for the address', async () => {
    const ann = await app.register('Ann');
    for (const send of [() => ann.get('/nowhere'), () => ann.delete('/products'), () => ann.put('/users/me', {})]) {
      expect((await send()).headers.get('ratelimit-policy')).toBe('"user";q=3;w=10');
    }
    expect(failureOf(await ann.get('/nowhere'))).toBe('429 RATE_LIMITED');
    const stranger = await app.as('no.good.token').get('/nowhere', from(newIp()));
    expect([failureOf(stranger), ...standing(stranger)]).toEqual(['404 NOT_FOUND', '4', '3']);
  });

  it('over IPv6 count by /64, and IPv4 in IPv6 as IPv4', async () => {
    const remaining = async (ip: string) => standing(await app.anonymous.get('/products', from(ip)))[1];
    expect(await remaining('2001:db8:0:1::1')).toBe('3');
    expect(await remaining('2001:db8:0:1:ffff:ffff:ffff:ffff')).toBe('2');
    expect(await remaining('2001:DB8::1:0:0:0:7')).toBe('1');
    expect(await remaining('2001:db8:0:2::1')).toBe('3');
    expect(await remaining('203.0.113.9')).toBe('3');
    expect(await remaining('::ffff:203.0.113.9')).toBe('2');
  });

  it('count for the last address that a trusted proxy has seen, not for one that was made up', async () => {
    const remaining = async (ips: string) => standing(await app.anonymous.get('/products', from(ips)))[1];
    expect(await remaining('10.9.8.7, 203.0.113.50')).toBe('3');
    expect(await remaining('10.9.8.6, 203.0.113.50, 127.0.0.1')).toBe('2');
    expect(await remaining('nonsense, 203.0.113.50')).toBe('1');
  });

  it('for health and documents are never counted', async () => {
    for (const path of ['/health', '/health/live', '/health/ready', '/docs', '/openapi.json', '/openapi.yaml']) {
      for (let i = 0; i < 6; i++) {
        const answer = await app.anonymous.get(path, from('203.0.113.77'));
        expect([path, answer.status]).toEqual([path, answer.status === 302 ? 302 : 200]);
        expect(answer.headers.get('ratelimit-limit')).toBeNull();
      }
    }
    expect(standing(await app.anonymous.get('/products', from('203.0.113.77')))).toEqual(['4', '3']);
  });
});

describe('a path that can not be read', () => {
  it.each([
    ['', '203.0.113.1'],
    ['127.0.0.1', '203.0.113.2'],
  ])('counts, too, where the proxy %j is trusted', async (TRUST_PROXY, other) => {
    const app = await startApp({ RATE_LIMIT_ANONYMOUS: '2', TRUST_PROXY });
    const get = (path: string, ip: string) => app.anonymous.get(path, from(ip));
    try {
      for (const expected of ['400 MALFORMED_REQUEST', '400 MALFORMED_REQUEST', '429 RATE_LIMITED']) {
        const answer = await get('/products/%ff', '203.0.113.1');
        expect(failureOf(answer)).toBe(expected);
        expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      }
      expect((await get('/elsewhere/%zz?q=1', other)).status).toBe(TRUST_PROXY === '' ? 429 : 400);
      expect(await app.logged(({ path }) => path === '/api/v1/products/%ff')).not.toEqual([]);
      expect((await get('/%25', '203.0.113.3')).status).toBe(TRUST_PROXY === '' ? 429 : 404);
    } finally {
      await app.stop();
    }
  });
});

describe('without a trusted proxy', () => {
  it('X-Forwarded-For is anybody’s word and counts for nothing', async () => {
    const app = await startApp({ RATE_LIMIT_ANONYMOUS: '2' });
    try {
      for (const status of [200, 200, 429]) {
        expect((await app.anonymous.get('/products', from(`203.0.113.${status % 100}`))).status).toBe(status);
      }
    } finally {
      await app.stop();
    }
  });
});

describe('wrong passwords', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp({ RATE_LIMIT_LOGIN: '5', RATE_LIMIT_ANONYMOUS: '1000', TRUST_PROXY: '127.0.0.1' });
  });
  afterAll(() => app?.stop());

  const login = (email: string, password: string, ip: string) =>
    app.anonymous.post('/auth/login', { email, password }, from(ip));
  const times = async (count: number, send: () => Promise<Answer>) => {
    const statuses: number[] = [];
    for (let i = 0; i < count; i++) statuses.push((await send()).status);
    return statuses;
  };
  const PASSWORD = 'Correct-Horse-7';

  it('are five; then even the right one is refused, from there, for this email only', async () => {
    const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
    expect(await times(5, () => login(ann.user.email, WRONG, '192.0.2.1'))).toEqual(Array(5).fill(401));
    const refused = await login(ann.user.email.toUpperCase(), PASSWORD, '192.0.2.1');
    expect(failureOf(refused)).toBe('429 RATE_LIMITED');
    expect(waitOf(refused)).toBeGreaterThan(850);
    expect(waitOf(refused)).toBeLessThanOrEqual(900);
    expect(standing(refused)).toEqual(['5', '0']);
    expect(refused.headers.get('ratelimit-policy')).toBe('"login";q=5;w=900');
    expect((await login(ann.user.email, PASSWORD, '192.0.2.2')).status).toBe(200);
    expect((await login(bob.user.email, PASSWORD, '192.0.2.1')).status).toBe(200);
  });

  it('are five, however the email is spelt', async () => {
    const iris = await app.register('Iris');
    const spelt = (n: number) => iris.user.email.replace(/s/g, n % 2 ? 'ſ' : 'S');
    for (let n = 0; n < 5; n++) expect((await login(spelt(n), WRONG, '192.0.2.9')).status).toBe(401);
    expect((await login(spelt(5), WRONG, '192.0.2.9')).status).toBe(429);
  });

  it('that are refused are no requests that count', async () => {
    const eve = await app.register('Eve');
    const ip = '192.0.2.10';
    const left = async () =>
      Number((await app.anonymous.get('/products', from(ip))).headers.get('ratelimit-remaining'));
    const before = await left();
    expect(await times(8, () => login(eve.user.email, WRONG, ip))).toEqual([...Array(5).fill(401), 429, 429, 429]);
    expect(await left()).toBe(before - 6);
  });

  it('of nobody are limited just the same', async () => {
    const statuses = await times(6, () => login('nobody@example.com', WRONG, '192.0.2.3'));
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
  });

  it('are five also when two hundred come at once', async () => {
    const { user } = await app.register('Eve');
    const answers = await Promise.all(Array.from({ length: 200 }, () => login(user.email, WRONG, '192.0.2.4')));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(195);
  });

  it('are not what right ones are, however many come at once', async () => {
    const { user } = await app.register('Rita');
    const answers = await Promise.all(Array.from({ length: 20 }, () => login(user.email, PASSWORD, '192.0.2.5')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(await times(4, () => login(user.email, WRONG, '192.0.2.5'))).toEqual(Array(4).fill(401));
    dataOf(await login(user.email, PASSWORD, '192.0.2.5'));
    expect(await times(2, () => login(user.email, WRONG, '192.0.2.5'))).toEqual([401, 429]);
  });

  it('from one address are fifty, whatever the email', async () => {
    let email = 0;
    const statuses = await times(52, () => login(`someone.${++email}@example.com`, WRONG, '2001:db8:5::1'));
    expect(statuses).toEqual([...Array(50).fill(401), 429, 429]);
    const neighbour = await login('else@example.com', WRONG, '2001:db8:5::2');
    expect(neighbour.status).toBe(429);
  });

  it('for one email are fifty from all sides, but its owner still gets in from where they have been', async () => {
    const ann = await app.register('Annie');
    dataOf(await login(ann.user.email, PASSWORD, '192.0.2.200'));
    dataOf(await login(ann.user.email, PASSWORD, '2001:db8:9:9::1'));
    let ip = 0;
    const statuses = await times(52, () => login(ann.user.email, WRONG, `192.0.2.${10 + (++ip % 100)}`));
    expect(statuses).toEqual([...Array(50).fill(401), 429, 429]);
    expect((await login(ann.user.email, PASSWORD, '192.0.2.199')).status).toBe(429);
    expect((await login(ann.user.email, PASSWORD, '192.0.2.200')).status).toBe(200);
    expect((await login(ann.user.email, PASSWORD, '2001:db8:9:9::2')).status).toBe(200);
    // Who has been there may still guess wrong only five times.
    const known = await times(6, () => login(ann.user.email, WRONG, '192.0.2.200'));
    expect(known).toEqual([401, 401, 401, 401, 401, 429]);
  });

  it('of somebody who is logged in are five, too', async () => {
    const ann = await app.register('Anna');
    const change = (currentPassword: string) =>
      ann.patch(`/users/${ann.id}`, { email: `new.${ann.user.email}`, currentPassword });
    expect(await times(5, () => change(WRONG))).toEqual(Array(5).fill(401));
    expect((await change(PASSWORD)).status).toBe(429);
    expect((await ann.patch(`/users/${ann.id}`, { name: 'Anna Other' })).status).toBe(200);
  });
});

describe('registering and refreshing', () => {
  it('can be done a hundred times each from one address', async () => {
    const app = await startApp({ RATE_LIMIT_LOGIN: '5', TRUST_PROXY: '127.0.0.1' });
    try {
      const refresh = (ip: string) => app.anonymous.post('/auth/refresh', { refreshToken: 'none' }, from(ip));
      for (let i = 0; i < 100; i++) expect((await refresh('192.0.2.1')).status).toBe(401);
      const refused = await refresh('192.0.2.1');
      expect(failureOf(refused)).toBe('429 RATE_LIMITED');
      expect(refused.headers.get('ratelimit-policy')).toBe('"refresh";q=100;w=900');
      expect((await refresh('192.0.2.2')).status).toBe(401);
      for (let i = 0; i < 100; i++) {
        expect((await app.anonymous.post('/auth/register', {}, from('192.0.2.1'))).status).toBe(422);
      }
      expect((await app.anonymous.post('/auth/register', {}, from('192.0.2.1'))).status).toBe(429);
    } finally {
      await app.stop();
    }
  });

  it('and failing is not limited at all where RATE_LIMIT_LOGIN is 0', async () => {
    const app = await startApp({ RATE_LIMIT_LOGIN: '0' });
    try {
      for (let i = 0; i < 102; i++) expect((await app.anonymous.post('/auth/register', {})).status).toBe(422);
      for (let i = 0; i < 7; i++) {
        expect((await app.anonymous.post('/auth/login', { email: 'a@example.com', password: WRONG })).status).toBe(401);
      }
    } finally {
      await app.stop();
    }
  });
});
