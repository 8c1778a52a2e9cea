import { type Answer, type App, dataOf, failureOf, PASSWORD, startApp, type UserClient } from '../app.js';
import { planted } from '../environment.js';

/** `RACES=full` plays each race a hundred times. */
const ROUNDS = process.env.RACES === 'full' ? 100 : 5;
const AT_ONCE = 50;

jest.setTimeout(ROUNDS * 10_000 + 60_000);

describe.each([
  ['with a grace', '10'],
  ['without a grace', '0'],
])('refresh tokens on two replicas, %s', (_, grace) => {
  let replicas: [App, App];
  beforeAll(async () => {
    const first = await startApp({ REFRESH_REUSE_GRACE: grace });
    replicas = [first, await startApp({ DATABASE_URL: first.databaseUrl, REFRESH_REUSE_GRACE: grace })];
  });
  afterAll(async () => {
    for (const app of [...replicas].reverse()) await app.stop();
  });

  const refresh = (refreshToken: string, replica = 0): Promise<Answer> =>
    replicas[replica % 2]!.anonymous.post('/auth/refresh', { refreshToken });
  const fifty = <T>(act: (index: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: AT_ONCE }, (_each, index) => act(index)));
  const livingSessions = async (user: UserClient): Promise<number> => {
    const sql = 'SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL';
    return Number((await replicas[0].sql(sql, [user.id]))[0]!.count);
  };

  it(`${AT_ONCE} at once never leave two living lines`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const user = await replicas[0].register();
      const answers = await fifty((index) => refresh(user.tokens.refreshToken, index));
      const successors = new Set(
        answers.filter(({ status }) => status === 200).map((each) => dataOf(each).refreshToken),
      );
      expect(successors.size).toBe(1);
      const [successor] = [...successors] as [string];

      if (grace === '0') {
        // One spent it, and all the others reused it.
        const failures = answers.filter(({ status }) => status !== 200).map(failureOf);
        expect(failures).toHaveLength(AT_ONCE - 1);
        expect(new Set(failures)).toEqual(new Set(['401 TOKEN_REUSED', '401 TOKEN_REVOKED']));
        expect(failureOf(await refresh(successor, round))).toBe('401 TOKEN_REVOKED');
        expect(await livingSessions(user)).toBe(0);
        const events = 'SELECT count(*) FROM events WHERE type = $1 AND data ->> $2 = $3';
        const [{ count }] = (await replicas[0].sql(events, ['session.reuse_detected', 'userId', user.id])) as [any];
        expect(Number(count)).toBe(1);
      } else {
        expect(answers.every(({ status }) => status === 200)).toBe(true);
        const next = dataOf(await refresh(successor, round)).refreshToken;
        // The line has gone on: what was good within its grace is two steps old now.
        expect(failureOf(await refresh(user.tokens.refreshToken, round + 1))).toBe('401 TOKEN_REUSED');
        expect(failureOf(await refresh(next, round))).toBe('401 TOKEN_REVOKED');
        expect(await livingSessions(user)).toBe(0);
      }
    }
  });

  it('nothing outlives a logout that came at the same time', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const user = await replicas[0].register();
      const [, ...answers] = await Promise.all([
        replicas[0].as(user.token!).post('/auth/logout'),
        ...Array.from({ length: 6 }, (_each, index) => refresh(user.tokens.refreshToken, index)),
      ]);
      for (const answer of answers.filter(({ status }) => status === 200)) {
        const { accessToken, refreshToken } = dataOf(answer);
        expect(failureOf(await replicas[0].as(accessToken).get('/users/me'))).toBe('401 TOKEN_REVOKED');
        expect((await refresh(refreshToken, 1)).status).toBe(401);
      }
      expect(await livingSessions(user)).toBe(0);
    }
  });

  it('no token has the rights of a role that was taken away at the same time', async () => {
    const admin = await replicas[0].admin();
    for (let round = 0; round < ROUNDS; round++) {
      const user = await replicas[0].moderator();
      const [, ...answers] = await Promise.all([
        admin.patch(`/users/${user.id}`, { role: 'user' }),
        ...Array.from({ length: 3 }, (_each, index) =>
          replicas[index % 2]!.anonymous.post('/auth/login', { email: user.user.email, password: PASSWORD }),
        ),
        refresh(user.tokens.refreshToken, 1),
      ]);
      for (const answer of answers) {
        const { accessToken, refreshToken } = dataOf(answer);
        const seen = await replicas[0].as(accessToken).get('/users');
        expect(['401 TOKEN_REVOKED', '403 FORBIDDEN']).toContain(failureOf(seen));
        const next = dataOf(await refresh(refreshToken));
        expect(failureOf(await replicas[0].as(next.accessToken).get('/users'))).toBe('403 FORBIDDEN');
      }
    }
  });

  it('nobody gets in with the password that was changed at the same time', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const user = await replicas[0].register();
      const login = (password: string, index = 0) =>
        replicas[index % 2]!.anonymous.post('/auth/login', { email: user.user.email, password });
      const body = { currentPassword: PASSWORD, newPassword: 'Another-Horse-7' };
      const [changed, ...answers] = await Promise.all([
        user.post('/auth/password/change', body),
        ...Array.from({ length: 6 }, (_each, index) => login(PASSWORD, index)),
      ]);
      expect(changed.status).toBe(204);
      for (const answer of answers.filter(({ status }) => status === 200)) {
        expect(failureOf(await refresh(dataOf(answer).refreshToken))).toBe('401 TOKEN_REVOKED');
      }
      expect(await livingSessions(user)).toBe(1); // the one that changed it
      dataOf(await replicas[0].as(user.token!).get('/users/me'));
      expect(failureOf(await login(PASSWORD))).toBe('401 INVALID_CREDENTIALS');
    }
  });
});

describe('refresh tokens on two replicas whose clocks are a minute apart', () => {
  let replicas: [App, App];
  beforeAll(async () => {
    const isAhead = planted(`const Right = Date; const now = () => Right.now() + 60_000;
      globalThis.Date = class extends Right {
        constructor(...given) { super(...(given.length === 0 ? [now()] : given)); }
        static now() { return now(); }
      };`);
    const first = await startApp({ REFRESH_REUSE_GRACE: '30' });
    replicas = [first, await startApp({ DATABASE_URL: first.databaseUrl, REFRESH_REUSE_GRACE: '30', ...isAhead })];
  });
  afterAll(async () => {
    for (const app of [...replicas].reverse()) await app.stop();
  });

  it.each([0, 1])('have the same grace for who lost the answer, whichever gave it (%d)', async (first) => {
    const { tokens } = await replicas[0].register();
    const refresh = (replica: number) =>
      replicas[replica]!.anonymous.post('/auth/refresh', { refreshToken: tokens.refreshToken });
    const { refreshToken } = dataOf(await refresh(first));
    expect(dataOf(await refresh(1 - first)).refreshToken).toBe(refreshToken);
  });
});
