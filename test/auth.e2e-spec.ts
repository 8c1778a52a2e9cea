import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Answer,
  type App,
  dataOf,
  failureOf,
  fieldsOf,
  JWT_SECRET,
  PASSWORD,
  startApp,
  type UserClient,
} from './app.js';

describe('auth', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app?.stop());

  const refresh = (refreshToken: string): Promise<Answer> => app.anonymous.post('/auth/refresh', { refreshToken });
  const me = (accessToken: string): Promise<Answer> => app.as(accessToken).get('/users/me');

  describe('registration', () => {
    it('makes a user, logs them in and says where they are', async () => {
      const answer = await app.anonymous.post('/auth/register', {
        email: 'Ada@Example.com',
        name: '  Ada Lovelace ',
        password: PASSWORD,
      });
      const { user, accessToken, refreshToken, ...rest } = dataOf(answer, 201);
      expect(user).toMatchObject({ email: 'Ada@Example.com', name: 'Ada Lovelace', role: 'user', version: 1 });
      expect(user).not.toHaveProperty('passwordHash');
      expect(rest).toEqual({ tokenType: 'Bearer', expiresIn: 900, refreshExpiresIn: 604_800 });
      expect(answer.headers.get('location')).toBe(`/api/v1/users/${user.id}`);
      expect(dataOf(await me(accessToken))).toEqual(user);

      const now = Math.floor(Date.now() / 1000);
      const claims = claimsOf(accessToken);
      expect(claims).toMatchObject({ sub: user.id, email: user.email, roles: ['user'], type: 'access' });
      expect(claims).toMatchObject({ sid: expect.any(String), jti: expect.any(String), iss: expect.any(String) });
      expect(Math.abs(claims.exp - 900 - now)).toBeLessThan(5);
      expect(claimsOf(refreshToken)).toMatchObject({ sub: user.id, type: 'refresh', sid: claims.sid });
    });

    it('takes an email once, whatever its case', async () => {
      const { user } = await app.register('Bob Baker');
      const again = { email: user.email.toUpperCase(), name: 'Other Bob', password: PASSWORD };
      expect(failureOf(await app.anonymous.post('/auth/register', again))).toBe('409 EMAIL_TAKEN');
    });

    it('takes an email once, even from two at the same time', async () => {
      const body = { email: 'race@example.com', name: 'Racer', password: PASSWORD };
      const answers = await Promise.all(Array.from({ length: 4 }, () => app.anonymous.post('/auth/register', body)));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
    });

    it('names every field that is wrong, and repeats no password', async () => {
      const answer = await app.anonymous.post('/auth/register', { email: 'nobody', name: 'x', password: 'sekret' });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(new Set(fieldsOf(answer))).toEqual(new Set(['email', 'name', 'password']));
      expect(answer.text).not.toContain('sekret');
    });

    it.each([
      ['is too short', 'Short-1'],
      ['has no digit', 'Correct-Horse'],
      ['has no upper-case letter', 'correct-horse-7'],
      ['is too long', `A1${'a'.repeat(127)}`],
    ])('refuses a password that %s', async (_, password) => {
      const answer = await app.anonymous.post('/auth/register', { email: 'p@example.com', name: 'Pat', password });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['password']);
    });

    it('takes a password of 128 characters', async () => {
      const password = `A1${'ä'.repeat(126)}`;
      const body = { email: 'long@example.com', name: 'Long', password };
      dataOf(await app.anonymous.post('/auth/register', body), 201);
      await app.login(body.email, password);
    });

    it('lets nobody make themselves an admin', async () => {
      const body = { email: 'eve@example.com', name: 'Eve', password: PASSWORD, role: 'admin' };
      const answer = await app.anonymous.post('/auth/register', body);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['role']);
    });
  });

  describe('login', () => {
    it('takes the email in any case', async () => {
      const { user } = await app.register();
      expect((await app.login(user.email.toUpperCase())).id).toBe(user.id);
    });

    it('does not tell a wrong email from a wrong password', async () => {
      const { user } = await app.register();
      const login = (email: string, password: string) => app.anonymous.post('/auth/login', { email, password });
      const [wrongEmail, wrongPassword] = [await login('no@example.com', PASSWORD), await login(user.email, 'Wrong-1')];
      expect(failureOf(wrongEmail)).toBe('401 INVALID_CREDENTIALS');
      expect(wrongPassword.status).toBe(401);
      expect(wrongPassword.body.error).toEqual(wrongEmail.body.error);
      expect(wrongEmail.headers.get('www-authenticate')).toMatch(/^Bearer/);
    });
  });

  describe('a refresh token', () => {
    it('is exchanged for another one, in the same session', async () => {
      const { tokens, id } = await app.register();
      const next = dataOf(await refresh(tokens.refreshToken));
      expect(next.refreshToken).not.toBe(tokens.refreshToken);
      expect(next.user.id).toBe(id);
      expect(claimsOf(next.accessToken).sid).toBe(claimsOf(tokens.accessToken).sid);
      dataOf(await me(next.accessToken));
    });

    it('that was just spent gets the same successor: for two tabs, and for a lost answer', async () => {
      const { tokens } = await app.register();
      const answers = await Promise.all([1, 2, 3].map(() => refresh(tokens.refreshToken)));
      answers.push(await refresh(tokens.refreshToken));
      const successors = new Set(answers.map((answer) => dataOf(answer).refreshToken));
      expect(successors.size).toBe(1);
      for (const answer of answers) dataOf(await me(dataOf(answer).accessToken));
      dataOf(await refresh([...successors][0]));
    });

    it('that is older ends the whole session, access tokens included', async () => {
      const { tokens: first } = await app.register();
      const second = dataOf(await refresh(first.refreshToken));
      const third = dataOf(await refresh(second.refreshToken));
      expect(failureOf(await refresh(first.refreshToken))).toBe('401 TOKEN_REUSED');
      for (const { accessToken } of [first, second, third]) {
        expect(failureOf(await me(accessToken))).toBe('401 TOKEN_REVOKED');
      }
      expect(failureOf(await refresh(third.refreshToken))).toBe('401 TOKEN_REVOKED');
    });

    it('leaves the other sessions of its user alone when it is reused', async () => {
      const { tokens, user } = await app.register();
      const other = await app.login(user.email);
      await refresh(dataOf(await refresh(tokens.refreshToken)).refreshToken);
      expect(failureOf(await refresh(tokens.refreshToken))).toBe('401 TOKEN_REUSED');
      dataOf(await other.get('/users/me'));
    });

    it('is no access token, nor the other way round', async () => {
      const { tokens } = await app.register();
      expect(failureOf(await me(tokens.refreshToken))).toBe('401 UNAUTHORIZED');
      expect(failureOf(await refresh(tokens.accessToken))).toBe('401 UNAUTHORIZED');
      for (const nonsense of ['nonsense', 'x'.repeat(9000)]) {
        expect(failureOf(await refresh(nonsense))).toBe('401 UNAUTHORIZED');
      }
    });

    it('is kept by nobody but its owner', async () => {
      const { tokens } = await app.register();
      const rows = JSON.stringify(await app.sql('SELECT * FROM sessions'));
      for (const part of tokens.refreshToken.split('.').slice(1)) expect(rows).not.toContain(part);
      expect(app.output()).not.toContain(tokens.refreshToken);
      expect(app.output()).not.toContain(tokens.accessToken);
      expect(app.output()).not.toContain(PASSWORD);
    });
  });

  describe('logout', () => {
    it('ends this session at once, and no other', async () => {
      const one = await app.register();
      const other = await app.login(one.user.email);
      const answer = await one.post('/auth/logout');
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(failureOf(await one.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await refresh(one.tokens.refreshToken))).toBe('401 TOKEN_REVOKED');
      dataOf(await other.get('/users/me'));
    });

    it('is still known after a restart', async () => {
      const [gone, stays] = [await app.register(), await app.register()];
      await gone.post('/auth/logout');
      await app.restart();
      expect(failureOf(await gone.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      dataOf(await stays.get('/users/me'));
    });
  });

  describe('an access token', () => {
    it('is needed, and has to be ours', async () => {
      const { tokens } = await app.register();
      const claims = claimsOf(tokens.accessToken);
      const tokenOf = (header: object, secret?: string): string => {
        const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
        return `${text}.${secret === undefined ? '' : createHmac('sha256', secret).update(text).digest('base64url')}`;
      };
      const header = { alg: 'HS256', typ: 'JWT' };
      dataOf(await me(tokenOf(header, JWT_SECRET)));
      const forged = [
        tokenOf(header, 'another-secret-of-forty-characters-or-so'),
        tokenOf({ alg: 'none', typ: 'JWT' }),
        `${tokens.accessToken.split('.', 2).join('.')}.`,
        'nonsense',
      ];
      for (const token of forged) {
        const answer = await me(token);
        expect(failureOf(answer)).toBe('401 UNAUTHORIZED');
        expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
      }
      expect(failureOf(await app.anonymous.get('/users/me'))).toBe('401 UNAUTHORIZED');
      expect(failureOf(await app.anonymous.get('/users/me', { authorization: 'Basic YTpi' }))).toBe('401 UNAUTHORIZED');
    });

    it('loses its power when its user gets another role; a refresh brings the new one', async () => {
      const user = await app.register();
      dataOf(await (await app.admin()).patch(`/users/${user.id}`, { role: 'moderator' }));
      await sleep(300);
      expect(failureOf(await user.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      const next = dataOf(await refresh(user.tokens.refreshToken));
      expect(next.user.role).toBe('moderator');
      dataOf(await app.as(next.accessToken).get('/users'));
    });
  });
});

describe('a grace of ten seconds', () => {
  it('tells how long the successor still lives, which has been given out before', async () => {
    const app = await startApp({ REFRESH_REUSE_GRACE: '10' });
    try {
      const { tokens } = await app.register();
      const refresh = async () =>
        dataOf(await app.anonymous.post('/auth/refresh', { refreshToken: tokens.refreshToken }));
      expect((await refresh()).refreshExpiresIn).toBe(604_800);
      await sleep(2100);
      const again = await refresh();
      expect(again.refreshExpiresIn).toBeLessThanOrEqual(604_797);
      expect(claimsOf(again.refreshToken).exp - Date.now() / 1000).toBeCloseTo(again.refreshExpiresIn, -1);
    } finally {
      await app.stop();
    }
  });
});

describe('auth with other settings', () => {
  let app: App;
  let user: UserClient;
  beforeAll(async () => {
    app = await startApp({ REFRESH_REUSE_GRACE: '0', ACCESS_TOKEN_TTL: '2' });
    user = await app.register();
  });
  afterAll(() => app?.stop());

  it('an access token expires, and a refresh token brings the next one', async () => {
    // By whole seconds: one that is to live for a second may be over in a moment.
    await sleep(2100);
    expect(failureOf(await user.get('/users/me'))).toBe('401 TOKEN_EXPIRED');
    const next = dataOf(await app.anonymous.post('/auth/refresh', { refreshToken: user.tokens.refreshToken }));
    expect(next.expiresIn).toBe(2);
    dataOf(await app.as(next.accessToken).get('/users/me'));
  });

  it('without a grace a spent refresh token is never taken again', async () => {
    const { tokens } = await app.register();
    const refresh = () => app.anonymous.post('/auth/refresh', { refreshToken: tokens.refreshToken });
    dataOf(await refresh());
    expect(failureOf(await refresh())).toBe('401 TOKEN_REUSED');
  });
});

function claimsOf(token: string): any {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
}
