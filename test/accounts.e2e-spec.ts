import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash } from '@node-rs/argon2';
import bcrypt from 'bcrypt';
import { type Answer, type App, dataOf, failureOf, fieldsOf, PASSWORD, startApp, type UserClient } from './app.js';
import { linkIn, mailsTo, mailTo } from './mails.js';

const NEW_PASSWORD = 'Another-Horse-8';

describe('accounts', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp({ APP_URL: 'https://shop.example' });
  });
  afterAll(() => app?.stop());

  const login = (email: string, password: string): Promise<Answer> =>
    app.anonymous.post('/auth/login', { email, password });
  const refreshed = ({ tokens }: UserClient): Promise<Answer> =>
    app.anonymous.post('/auth/refresh', { refreshToken: tokens.refreshToken });
  const reset = (token: string, password = NEW_PASSWORD): Promise<Answer> =>
    app.anonymous.post('/auth/password/reset', { token, password });
  const verify = (token: string): Promise<Answer> => app.anonymous.post('/auth/email/verify', { token });
  const forgot = (email: string): Promise<Answer> => app.anonymous.post('/auth/password/forgot', { email });
  async function resetToken(email: string): Promise<string> {
    dataOf(await forgot(email), 202);
    return linkIn(app, email, 'password-reset');
  }

  describe('a password', () => {
    it.each(['Password1', 'Qwerty123', 'TRUSTNO1', 'Passw0rd'])('%s is too common to be set', async (password) => {
      const body = { email: 'common@example.com', name: 'Common', password };
      const answer = await app.anonymous.post('/auth/register', body);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['password']);
      expect(answer.text).not.toContain(password);
    });

    it('that is checked is right or wrong, and never too weak, too short or too long', async () => {
      const { user } = await app.register();
      for (const password of ['', 'x', 'Password1', `${PASSWORD}x`, 'A1'.repeat(500), '🐴'.repeat(20_000)]) {
        expect(failureOf(await login(user.email, password))).toBe('401 INVALID_CREDENTIALS');
        expect(failureOf(await login('nobody@example.com', password))).toBe('401 INVALID_CREDENTIALS');
      }
      expect(failureOf(await app.anonymous.post('/auth/login', { email: user.email, password: 7 }))).toBe(
        '422 VALIDATION_ERROR',
      );
    });

    it.each(['$2a$', '$2b$', '$2y$'])('that came with its bcrypt hash, %s, is good and hashed anew', async (prefix) => {
      const { user } = await app.register();
      const hash = (await bcrypt.hash('old', 5)).replace(/^\$2b\$/, prefix);
      await app.sql('UPDATE users SET password_hash = $1 WHERE id = $2', [hash, user.id]);
      expect(failureOf(await login(user.email, 'wrong'))).toBe('401 INVALID_CREDENTIALS');
      const answers = await Promise.all([1, 2, 3].map(() => login(user.email, 'old')));
      for (const answer of answers) dataOf(answer);
      const [row] = await app.sql('SELECT password_hash, version FROM users WHERE id = $1', [user.id]);
      expect(row!.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
      expect(row!.version).toBe(1);
      dataOf(await login(user.email, 'old'));
    });

    it.each([
      ['bcrypt', () => bcrypt.hash('old', 12)],
      ['argon2', () => hash('old', { memoryCost: 65_536, timeCost: 3 })],
    ])(
      'that is wrong takes as long to be refused for anybody, also where one was imported with %s',
      async (_, slowHash) => {
        const [ann, imported] = [await app.register(), await app.register()];
        await app.sql('UPDATE users SET password_hash = $1 WHERE id = $2', [await slowHash(), imported.id]);
        const emails = [imported.user.email, ann.user.email, 'nobody@example.com'];
        const times: number[][] = [[], [], []];
        for (let round = 0; round < 4; round++) {
          for (const [index, email] of emails.entries()) {
            const begin = performance.now();
            expect(failureOf(await login(email, 'wrong'))).toBe('401 INVALID_CREDENTIALS');
            times[index]!.push(performance.now() - begin);
          }
        }
        const [slow, usual, unknown] = times.map((each) => Math.min(...each)) as [number, number, number];
        // The fastest of four: what a busy machine adds is left out. argon2 alone takes a twentieth of this hash's time.
        for (const time of [usual, unknown]) {
          expect(time / slow).toBeGreaterThan(0.6);
          expect(time / slow).toBeLessThan(2.5);
        }
      },
    );

    it('is changed by who knows it, and ends the other sessions', async () => {
      const here = await app.register();
      const there = await app.login(here.user.email);
      const change = (currentPassword: string, newPassword: string) =>
        here.post('/auth/password/change', { currentPassword, newPassword });
      expect(failureOf(await change('Wrong-Horse-7', NEW_PASSWORD))).toBe('401 INVALID_CREDENTIALS');
      const weak = await change(PASSWORD, 'weak');
      expect([failureOf(weak), fieldsOf(weak)]).toEqual(['422 VALIDATION_ERROR', ['newPassword']]);

      const answer = await change(PASSWORD, NEW_PASSWORD);
      expect([answer.status, answer.text]).toEqual([204, '']);
      dataOf(await here.get('/users/me'));
      dataOf(await refreshed(here));
      expect(failureOf(await there.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await refreshed(there))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await login(here.user.email, PASSWORD))).toBe('401 INVALID_CREDENTIALS');
      dataOf(await login(here.user.email, NEW_PASSWORD));
      await mailTo(app, here.user.email, 'password-changed');
    });

    it('is hashed outside of a transaction, also where the change has a key', async () => {
      const people = await Promise.all(Array.from({ length: 6 }, () => app.register()));
      const passwords = { currentPassword: PASSWORD, newPassword: 'Another-Horse-7' };
      const begin = Date.now();
      let isOver = false;
      const changed = Promise.all(
        people.map((each) => each.post('/auth/password/change', passwords, { 'idempotency-key': randomUUID() })),
      ).finally(() => (isOver = true));
      let longest = 0;
      for (; !isOver; await sleep(10)) {
        const [row] = await app.sql(
          `SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000, 0)::float8 AS ms
             FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
        );
        longest = Math.max(longest, row!.ms as number);
      }
      for (const answer of await changed) expect(answer.status).toBe(204);
      // They are hashed one after the other: the last one would wait for nearly all of the time.
      expect(longest).toBeLessThan((Date.now() - begin) / 2);
    });

    it('is checked for so many at once and no more: the rest may come again', async () => {
      const answers = await Promise.all(Array.from({ length: 320 }, () => login('nobody@example.com', 'x')));
      const busy = answers.filter(({ status }) => status !== 401);
      expect(new Set(busy.map(failureOf))).toEqual(new Set(['503 SERVICE_UNAVAILABLE']));
      for (const { headers } of busy) expect(headers.get('retry-after')).toMatch(/^\d+$/);
      expect(failureOf(await login('nobody@example.com', 'x'))).toBe('401 INVALID_CREDENTIALS');
    });
  });

  describe('a forgotten password', () => {
    it('is set anew by a mailed link, once, and ends every session', async () => {
      const ann = await app.register();
      const token = await resetToken(ann.user.email);
      const { text } = await mailTo(app, ann.user.email, 'password-reset');
      expect(text).toContain(`https://shop.example/reset-password?token=${token}`);
      const tables = JSON.stringify(await app.sql('SELECT * FROM user_tokens'));
      expect(tables).not.toContain(token);
      expect(tables).toContain(createHash('sha256').update(token).digest('base64url'));
      expect(app.output()).not.toContain(token);

      const weak = await reset(token, 'weak');
      expect([failureOf(weak), fieldsOf(weak)]).toEqual(['422 VALIDATION_ERROR', ['password']]);
      const answer = await reset(token);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(failureOf(await ann.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await refreshed(ann))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await login(ann.user.email, PASSWORD))).toBe('401 INVALID_CREDENTIALS');
      dataOf(await login(ann.user.email, NEW_PASSWORD));

      const again = await reset(token);
      expect([failureOf(again), fieldsOf(again)]).toEqual(['422 VALIDATION_ERROR', ['token']]);
      await mailTo(app, ann.user.email, 'password-changed');
    });

    it('is set by one of two who come with the same link at once', async () => {
      const { user } = await app.register();
      const token = await resetToken(user.email);
      const passwords = ['First-Horse-1', 'Second-Horse-2', 'Third-Horse-3'];
      const answers = await Promise.all(passwords.map((password) => reset(token, password)));
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 422, 422]);
      for (const [index, password] of passwords.entries()) {
        expect((await login(user.email, password)).status).toBe(answers[index]!.status === 204 ? 200 : 401);
      }
    });

    it('is not set by a link that is old, made up, or void', async () => {
      const { user } = await app.register();
      const refused = async (token: string) => {
        const answer = await reset(token);
        expect([failureOf(answer), fieldsOf(answer)]).toEqual(['422 VALIDATION_ERROR', ['token']]);
      };
      await refused('made-up');
      await refused(await linkIn(app, user.email, 'welcome')); // good for something else
      const old = await resetToken(user.email);
      const [row] = await app.sql(
        `UPDATE user_tokens SET expires_at = now() WHERE user_id = $1 AND purpose = 'reset-password'
         RETURNING expires_at - created_at < interval '1 hour' AS sooner`,
        [user.id],
      );
      expect(row!.sooner).toBe(true);
      await refused(old);

      const other = await app.register();
      const sentToOldAddress = await resetToken(other.user.email);
      const moved = { email: `moved.${other.user.email}`, currentPassword: PASSWORD };
      dataOf(await other.patch(`/users/${other.id}`, moved));
      await refused(sentToOldAddress);
    });

    it('is asked for with the same answer, whether there is such a user or not', async () => {
      const { user } = await app.register();
      const headers = { 'x-request-id': 'the-same-one' };
      const ask = (email: string) => app.anonymous.post('/auth/password/forgot', { email }, headers);
      const [known, unknown] = [await ask(user.email.toUpperCase()), await ask('nobody@example.com')];
      expect([known.status, unknown.status]).toEqual([202, 202]);
      const shown = ({ body }: Answer) => ({ ...body, meta: { ...body.meta, timestamp: '' } });
      expect(shown(known)).toEqual(shown(unknown));
      await mailTo(app, user.email, 'password-reset');
      expect(await mailsTo(app, 'nobody@example.com')).toEqual([]);
    });
  });

  describe('an email', () => {
    it('is verified by the link in the welcome mail, once', async () => {
      const ann = await app.register();
      expect(ann.user).toMatchObject({ emailVerified: false });
      const token = await linkIn(app, ann.user.email, 'welcome');
      expect((await mailTo(app, ann.user.email, 'welcome')).text).toContain(
        `https://shop.example/verify-email?token=${token}`,
      );
      const answer = await verify(token);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(dataOf(await ann.get('/users/me'))).toMatchObject({ emailVerified: true, version: 2 });
      const again = await verify(token);
      expect([failureOf(again), fieldsOf(again)]).toEqual(['422 VALIDATION_ERROR', ['token']]);
      expect(fieldsOf(await app.anonymous.post('/auth/email/verify', { token: 7 }))).toEqual(['token']);
    });

    it('may be asked for its link again, until it is verified', async () => {
      const ann = await app.register();
      dataOf(await ann.post('/auth/email/resend'), 202);
      const token = await linkIn(app, ann.user.email, 'verify-email');
      expect((await verify(token)).status).toBe(204);
      expect(failureOf(await verify(await linkIn(app, ann.user.email, 'welcome')))).toBe('422 VALIDATION_ERROR');
      dataOf(await ann.post('/auth/email/resend'), 202);
      await sleep(500);
      expect((await mailsTo(app, ann.user.email)).map(({ template }) => template)).toEqual(['welcome', 'verify-email']);
      expect(failureOf(await app.anonymous.post('/auth/email/resend'))).toBe('401 UNAUTHORIZED');
    });

    it('that is changed has to be verified anew, and the former one is told', async () => {
      const ann = await app.register();
      expect((await verify(await linkIn(app, ann.user.email, 'welcome'))).status).toBe(204);
      dataOf(await ann.post('/auth/email/resend'), 202);
      const email = `new.${ann.user.email}`;
      const changed = dataOf(await ann.patch(`/users/${ann.id}`, { email, currentPassword: PASSWORD }));
      expect(changed).toMatchObject({ email, emailVerified: false });
      await mailTo(app, ann.user.email, 'email-changed');
      expect((await verify(await linkIn(app, email, 'verify-email'))).status).toBe(204);
      expect(dataOf(await ann.get('/users/me')).emailVerified).toBe(true);
    });

    it('is not changed back without the password, just as it is changed', async () => {
      const ann = await app.register();
      const change = { email: `new.${ann.user.email}`, currentPassword: PASSWORD };
      const busy = await app.hold('SELECT FROM users WHERE id = $1 FOR UPDATE', [ann.id]);
      const changed = ann.patch(`/users/${ann.id}`, change);
      await busy.somebodyWaits();
      const back = ann.put(`/users/${ann.id}`, { email: ann.user.email, name: 'Ann Archer' });
      await sleep(300); // it waits for the other, who waits
      await busy.letGo();
      dataOf(await changed);
      expect(fieldsOf(await back)).toEqual(['currentPassword']);
      expect(dataOf(await ann.get('/users/me')).email).toBe(change.email);
    });

    it('is not changed with a password that is being replaced', async () => {
      const [ann, other] = [await app.register(), await app.register()];
      const assignment = 'password_hash = (SELECT password_hash FROM users WHERE id = $2)';
      await app.sql(`UPDATE users SET password_hash = $2 WHERE id = $1`, [
        other.id,
        await bcrypt.hash('Other-Horse-7', 4),
      ]);
      const busy = await app.hold(`UPDATE users SET ${assignment} WHERE id = $1`, [ann.id, other.id]);
      const changed = ann.patch(`/users/${ann.id}`, { email: `new.${ann.user.email}`, currentPassword: PASSWORD });
      await busy.somebodyWaits();
      await busy.commit();
      expect(failureOf(await changed)).toBe('401 INVALID_CREDENTIALS');
    });

    it.each([
      ['in its case', 'Weiss', 'WEISS', true],
      ['in letters that only count as the same', 'weiß', 'weiss', false],
    ])('that is changed %s is another mailbox or not', async (_, former, later, isSame) => {
      const [name, domain] = [randomUUID(), 'example.com'];
      const body = { email: `${former}.${name}@${domain}`, name: 'Ann Archer', password: PASSWORD };
      const tokens = dataOf(await app.anonymous.post('/auth/register', body), 201);
      const ann = app.as(tokens.accessToken);
      expect((await verify(await linkIn(app, body.email, 'welcome'))).status).toBe(204);
      const email = `${later}.${name}@${domain}`;
      const changed = dataOf(await ann.patch(`/users/${tokens.user.id}`, { email, currentPassword: PASSWORD }));
      expect(changed).toMatchObject({ email, emailVerified: isSame });
      if (!isSame) {
        await mailTo(app, body.email, 'email-changed');
        expect((await verify(await linkIn(app, email, 'verify-email'))).status).toBe(204);
      }
    });

    it('is not verified by a link that was mailed to another', async () => {
      const ann = await app.register();
      const token = await linkIn(app, ann.user.email, 'welcome');
      const email = `new.${ann.user.email}`;
      dataOf(await ann.patch(`/users/${ann.id}`, { email, currentPassword: PASSWORD }));
      expect(failureOf(await verify(token))).toBe('422 VALIDATION_ERROR');
      expect(dataOf(await ann.get('/users/me')).emailVerified).toBe(false);
    });
  });

  describe('sessions', () => {
    const sessionsOf = async (user: UserClient): Promise<any[]> => dataOf(await user.get('/auth/sessions'));

    it('are listed with where they are from, newest first', async () => {
      const first = await app.register();
      const body = { email: first.user.email, password: PASSWORD };
      const agent = { 'user-agent': 'Phone/1.0' };
      const phone = dataOf(await app.anonymous.post('/auth/login', body, agent));
      const [newest, oldest, ...others] = dataOf(await app.as(phone.accessToken).get('/auth/sessions'));
      expect(others).toEqual([]);
      expect(newest).toMatchObject({ ip: '127.0.0.1', userAgent: 'Phone/1.0', current: true });
      expect(oldest).toMatchObject({ current: false });
      expect(Object.keys(newest).sort()).toEqual(
        ['createdAt', 'current', 'expiresAt', 'id', 'ip', 'lastUsedAt', 'userAgent'].sort(),
      );
      const page = await first.get('/auth/sessions?limit=1&page=2&sortOrder=asc');
      expect(dataOf(page)[0].id).toBe(newest.id);
      expect(page.body.meta.pagination).toMatchObject({ total: 2, hasPrev: true });
      const { nextCursor } = (await first.get('/auth/sessions?limit=1')).body.meta.pagination;
      expect(dataOf(await first.get(`/auth/sessions?limit=1&cursor=${nextCursor}`))[0].id).toBe(oldest.id);
      expect(fieldsOf(await first.get('/auth/sessions?sortBy=ip'))).toEqual(['sortBy']);

      await sleep(5);
      dataOf(await refreshed(first));
      const after = (await sessionsOf(first)).find(({ id }) => id === oldest.id);
      expect(after.lastUsedAt > oldest.lastUsedAt).toBe(true);
    });

    it('are ended one by one by their owner, and by nobody else', async () => {
      const [ann, bob] = [await app.register(), await app.register()];
      const other = await app.login(ann.user.email);
      const [{ id }] = await sessionsOf(other);
      expect(failureOf(await bob.delete(`/auth/sessions/${id}`))).toBe('404 NOT_FOUND');
      dataOf(await other.get('/users/me'));
      const answer = await ann.delete(`/auth/sessions/${id}`);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(failureOf(await other.get('/users/me'))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await refreshed(other))).toBe('401 TOKEN_REVOKED');
      expect(failureOf(await ann.delete(`/auth/sessions/${id}`))).toBe('404 NOT_FOUND');
      expect(failureOf(await ann.delete('/auth/sessions/none'))).toBe('422 VALIDATION_ERROR');
      expect(await sessionsOf(ann)).toHaveLength(1);
    });

    it('are ended all at once, the one that asks included', async () => {
      const ann = await app.register();
      const others = [await app.login(ann.user.email), await app.login(ann.user.email)];
      expect((await ann.delete('/auth/sessions')).status).toBe(204);
      for (const each of [ann, ...others]) {
        expect(failureOf(await each.get('/users/me'))).toBe('401 TOKEN_REVOKED');
        expect(failureOf(await refreshed(each))).toBe('401 TOKEN_REVOKED');
      }
      expect(await sessionsOf(await app.login(ann.user.email))).toHaveLength(1);
    });

    it('from a new place are told to their owner, from a known one not', async () => {
      const ann = await app.register();
      await app.login(ann.user.email);
      const body = { email: ann.user.email, password: PASSWORD };
      dataOf(await app.anonymous.post('/auth/login', body, { 'user-agent': 'Toaster/2.0' }));
      expect((await mailTo(app, ann.user.email, 'new-session')).text).toContain('Toaster/2.0');
      dataOf(await app.anonymous.post('/auth/login', body, { 'user-agent': 'Toaster/2.0' }));
      await sleep(500);
      const templates = (await mailsTo(app, ann.user.email)).map(({ template }) => template);
      expect(templates).toEqual(['welcome', 'new-session']);
    });
  });
});
