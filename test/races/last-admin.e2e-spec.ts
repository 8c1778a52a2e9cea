import { ADMIN, type App, dataOf, failureOf, PASSWORD, startApp, type UserClient } from '../app.js';

const ROUNDS = process.env.RACES === 'full' ? 100 : 5;

jest.setTimeout(ROUNDS * 5_000 + 60_000);

describe('the last admin, on two replicas', () => {
  let replicas: [App, App];
  beforeAll(async () => {
    const first = await startApp();
    replicas = [first, await startApp({ DATABASE_URL: first.databaseUrl })];
  });
  afterAll(async () => {
    for (const app of [...replicas].reverse()) await app.stop();
  });

  const admins = async (): Promise<string[]> =>
    (await replicas[0].sql(`SELECT email FROM users WHERE role = 'admin'`)).map(({ email }) => String(email));

  it('stays when two demote or delete each other at once', async () => {
    let one: UserClient = await replicas[0].login(ADMIN.email, ADMIN.password);
    for (let round = 0; round < ROUNDS; round++) {
      const body = { email: `admin.${round}@example.com`, name: 'Other Admin', password: PASSWORD, role: 'admin' };
      dataOf(await one.post('/users', body), 201);
      const other = await replicas[1].login(body.email);
      const answers = await Promise.all([
        round % 2 === 0 ? one.delete(`/users/${other.id}`) : one.patch(`/users/${other.id}`, { role: 'user' }),
        round % 3 === 0 ? other.delete(`/users/${one.id}`) : other.patch(`/users/${one.id}`, { role: 'user' }),
      ]);
      const failures = answers.filter(({ status }) => status >= 300).map(failureOf);
      // The one that came later found that there was nobody to take it from, or that they had no right to any more.
      expect(failures).toHaveLength(1);
      expect(['409 CONFLICT', '401 TOKEN_REVOKED', '404 NOT_FOUND']).toContain(failures[0]);
      const [left, ...others] = await admins();
      expect(others).toEqual([]);
      if (left === body.email) one = await replicas[0].login(body.email);
    }
  });
});

describe('the first admin', () => {
  it('is made once by replicas that start at once', async () => {
    const first = await startApp();
    const settings = { DATABASE_URL: first.databaseUrl };
    try {
      await first.kill();
      await first.sql('DELETE FROM users');
      const apps = await Promise.all([startApp(settings), startApp(settings), startApp(settings)]);
      expect(await first.sql('SELECT email, role FROM users')).toEqual([{ email: ADMIN.email, role: 'admin' }]);
      await Promise.all(apps.map((app) => app.stop()));
    } finally {
      await first.stop();
    }
  });
});
