import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type App, dataOf, failureOf, PASSWORD, startApp, type UserClient } from '../app.js';
import { linkIn } from '../mails.js';
import { PostgresProxy } from '../postgres-proxy.js';

/** The contract: on every replica, within so many milliseconds. */
const AT_ONCE_MS = 300;
const CUT = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = $1 AND datname = current_database()`;
const SIGNALS = 'stoa signals';

describe('on two replicas, a token that has ended', () => {
  let here: App;
  let proxy: PostgresProxy;
  let there: App;
  let admin: UserClient;
  beforeAll(async () => {
    here = await startApp();
    proxy = await PostgresProxy.start(here.databaseUrl);
    there = await startApp({ DATABASE_URL: proxy.gate.url, JOBS: 'off' });
    admin = await here.admin();
  });
  afterAll(async () => {
    await there?.stop();
    await proxy?.gate.close();
    await here?.stop();
  });

  const askThere = (token: string): Promise<Answer> => there.as(token).get('/users/me');

  /** For how long the other replica goes on to take what this one has ended: until the last request that it took was sent. */
  async function refusedThere(...tokens: (string | undefined)[]): Promise<number> {
    const begin = performance.now();
    let taken = 0;
    for (const token of tokens) {
      for (;;) {
        const sentAt = performance.now() - begin;
        const answer = await askThere(token!);
        if (answer.status === 401) {
          expect(failureOf(answer)).toBe('401 TOKEN_REVOKED');
          break;
        }
        dataOf(answer);
        taken = sentAt;
        if (taken > AT_ONCE_MS) throw new Error(`Still taken after ${Math.round(taken)} ms`);
      }
    }
    return taken;
  }

  const causes: [string, (user: UserClient) => Promise<unknown>][] = [
    ['a logout', (user) => user.post('/auth/logout')],
    ['the end of all sessions', (user) => user.delete('/auth/sessions')],
    ['another role', (user) => admin.patch(`/users/${user.id}`, { role: 'moderator' })],
    ['erasure', (user) => user.delete(`/users/${user.id}`)],
    [
      'the end of that session, by another',
      async (user) => {
        const other = await here.login(user.user.email);
        const [{ id }] = dataOf(await other.get('/auth/sessions?sortOrder=asc'));
        return other.delete(`/auth/sessions/${id}`);
      },
    ],
    [
      'a change of the password in another session',
      async (user) => {
        const other = await here.login(user.user.email);
        const answer = await other.post('/auth/password/change', {
          currentPassword: PASSWORD,
          newPassword: 'Horse-77',
        });
        dataOf(await other.get('/users/me'));
        return answer;
      },
    ],
    [
      'a reset of the password',
      async (user) => {
        dataOf(await here.anonymous.post('/auth/password/forgot', { email: user.user.email }), 202);
        const token = await linkIn(here, user.user.email, 'password-reset');
        return here.anonymous.post('/auth/password/reset', { token, password: 'Horse-77' });
      },
    ],
    [
      'a spent refresh token that came again',
      async (user) => {
        const refresh = (refreshToken: string) => here.anonymous.post('/auth/refresh', { refreshToken });
        await refresh(dataOf(await refresh(user.tokens.refreshToken)).refreshToken);
        const answer = await refresh(user.tokens.refreshToken);
        expect(failureOf(answer)).toBe('401 TOKEN_REUSED');
        return { status: 204 };
      },
    ],
  ];

  it.each(causes)('by %s is refused on both at once', async (_, cause) => {
    const user = await here.register();
    dataOf(await askThere(user.token!));
    expect([200, 204]).toContain(((await cause(user)) as Answer).status);
    const asked = here.as(user.token!).get('/users/me');
    await refusedThere(user.token);
    expect(failureOf(await asked)).toBe('401 TOKEN_REVOKED');
  });

  it('does not take the token with it that was issued right after', async () => {
    for (let round = 0; round < 10; round++) {
      const user = await here.register();
      const role = ['moderator', 'user', 'admin'][round % 3]!;
      dataOf(await admin.patch(`/users/${user.id}`, { role }));
      const next = dataOf(
        await here.anonymous.post('/auth/refresh', { refreshToken: user.tokens.refreshToken }),
      ).accessToken;
      dataOf(await here.as(next).get('/users/me'));
      dataOf(await askThere(next));
      if (role !== 'user') await refusedThere(user.token);
    }
  });

  it('is refused although the connection for signals was cut', async () => {
    const took: number[] = [];
    for (let round = 0; round < 5; round++) {
      const user = await here.register();
      await here.sql(CUT, [SIGNALS]);
      expect((await user.post('/auth/logout')).status).toBe(204);
      took.push(await refusedThere(user.token));
    }
    expect(Math.max(...took)).toBeLessThan(AT_ONCE_MS);
  });

  it('is refused although the connection for signals was cut while all others are taken', async () => {
    const [user, buyer] = [await here.register(), await here.register()];
    const busy = await here.hold('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
    const waiting = Promise.all(Array.from({ length: 20 }, () => there.as(buyer.token!).get('/orders')));
    try {
      await busy.somebodyWaits(10);
      await here.sql(CUT, [SIGNALS]);
      expect((await user.post('/auth/logout')).status).toBe(204);
      const begin = performance.now();
      // It is refused as it stands, without a look at the database, once it is known who asks.
      const ask = () => there.as(user.token!).get('/products?limit=0');
      for (let answer = await ask(); answer.status !== 401; answer = await ask()) {
        expect(answer.status).toBe(422);
        expect(performance.now() - begin).toBeLessThan(AT_ONCE_MS);
      }
    } finally {
      await busy.letGo();
      await waiting;
    }
  });

  it('is refused although the connection for signals is silent', async () => {
    for (let round = 0; round < 3; round++) {
      const user = await here.register();
      proxy.gate.silence(SIGNALS);
      await user.post('/auth/logout');
      await refusedThere(user.token);
    }
    // Then it is given up and made anew, and signals arrive by it.
    await sleep(4000);
    const user = await here.register();
    await user.post('/auth/logout');
    await refusedThere(user.token);
  });

  it('is not taken in the moment in which the database comes back', async () => {
    for (const outage of [700, 1500]) {
      const user = await here.register();
      dataOf(await askThere(user.token!));
      proxy.gate.shut();
      await user.post('/auth/logout');
      // Until then nobody there has missed it.
      while ((await askThere(user.token!)).status !== 503);
      await sleep(outage);
      proxy.gate.open();
      const statuses = new Set<number>();
      while (!statuses.has(401)) statuses.add((await askThere(user.token!)).status);
      statuses.delete(503);
      expect([...statuses]).toEqual([401]);
    }
  });

  it('is not remembered for longer than tokens live here, and so none is taken that lives longer', async () => {
    const user = await here.register();
    const short = await startApp({ DATABASE_URL: here.databaseUrl, JOBS: 'off', ACCESS_TOKEN_TTL: '2' });
    try {
      await sleep(2100);
      expect(failureOf(await short.as(user.token!).get('/users/me'))).toBe('401 TOKEN_EXPIRED');
      dataOf(await here.as(user.token!).get('/users/me'));
    } finally {
      await short.stop();
    }
  });

  it('is refused by a replica that starts later, which refuses no other', async () => {
    const [gone, stays, promoted] = [await here.register(), await here.register(), await here.register()];
    await gone.post('/auth/logout');
    await admin.patch(`/users/${promoted.id}`, { role: 'moderator' });
    await there.restart();
    for (const { token } of [gone, promoted]) expect(failureOf(await askThere(token!))).toBe('401 TOKEN_REVOKED');
    dataOf(await askThere(stays.token!));
  });

  it('costs no question to the database, nor does one that has not ended', async () => {
    const [user, gone] = [await here.register(), await here.register()];
    await gone.post('/auth/logout');
    const sent = () => proxy.statements.filter(({ application }) => application !== SIGNALS).length;
    await refusedThere(gone.token);
    const before = sent();
    const pairs = 200;
    for (let pair = 0; pair < pairs; pair++) {
      // Refused by its role, after it was authenticated and before anything is read.
      expect(failureOf(await there.as(user.token!).get('/users'))).toBe('403 FORBIDDEN');
      expect(failureOf(await there.as(gone.token!).get('/users'))).toBe('401 TOKEN_REVOKED');
    }
    // Not one for each; a machine that is very busy may have had a look at the table, which it does 10 times a second.
    expect(sent() - before).toBeLessThan(pairs / 4);
  });
});
