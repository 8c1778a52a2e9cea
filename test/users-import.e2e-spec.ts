import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { hash } from '@node-rs/argon2';
import bcrypt from 'bcrypt';
import { type App, JWT_SECRET, startApp } from './app.js';
import { cleanEnvironment } from './environment.js';

const SCRIPT = resolve(__dirname, '../scripts/users-import.mjs');

describe('importing users', () => {
  let app: App;
  let folder: string;
  beforeAll(async () => {
    app = await startApp();
    folder = await mkdtemp(join(tmpdir(), 'stoa-import-'));
  });
  afterAll(async () => {
    await app?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function runOn(lines: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const file = join(folder, 'users.csv');
    await writeFile(file, lines.join('\n'));
    const env = { ...cleanEnvironment(), NODE_ENV: 'test', DATABASE_URL: app.databaseUrl, JWT_SECRET };
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, file], {
      cwd: resolve(__dirname, '..'),
      env,
      encoding: 'utf8',
    });
    return { code: status, out: stdout, err: stderr };
  }

  it('adds those who are new with their passwords, tells the bad lines, and can be run again', async () => {
    const bcrypted = (await bcrypt.hash('old password', 6)).replace('$2b$', '$2y$');
    const argon2ed = await hash('an older one', { memoryCost: 8192, timeCost: 1, parallelism: 1 });
    const lines = [
      '\ufeffemail,name,role,hash',
      `Ann@Import.example,Ann Import,user,${bcrypted}`,
      `bob@import.example,"Import, Bob",moderator,"${argon2ed}"`,
      `nobody,No Body,user,${bcrypted}`,
      '',
      `cat@import.example,"Cat "Cat" Cow",user,${bcrypted}`,
      `dan@import.example,Dan Import,king,${bcrypted}`,
      'eve@import.example,Eve Import,user,plain-password',
      'fay@import.example,Fay Import',
      `gus@import.example,Gus Import,,${argon2ed}`,
      `ANN@import.example,Ann Again,admin,${bcrypted}`,
    ];
    const first = await runOn(lines);
    expect(first.out).toBe('3 imported, 1 skipped (email exists), 5 bad lines\n');
    expect(first.code).toBe(1);
    const told = [...first.err.matchAll(/^Line (\d+): /gm)].map(([, line]) => Number(line));
    expect(told).toEqual([4, 6, 7, 8, 9]);
    for (const secret of [bcrypted, argon2ed, 'plain-password']) expect(first.err).not.toContain(secret);

    expect((await app.login('ann@import.example', 'old password')).user).toMatchObject({
      name: 'Ann Import',
      role: 'user',
    });
    expect((await app.login('bob@import.example', 'an older one')).user).toMatchObject({
      name: 'Import, Bob',
      role: 'moderator',
    });
    expect((await app.login('gus@import.example', 'an older one')).user.role).toBe('user');
    const hashes = await app.sql(`SELECT password_hash FROM users WHERE email_key LIKE '%@import.example'`);
    for (const row of hashes) expect(row.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    const [events] = await app.sql(`SELECT count(*) FROM events WHERE data ->> 'email' ILIKE '%@import.example'`);
    expect(Number(events!.count)).toBe(3);

    const again = await runOn(lines.filter((_, index) => ![3, 5, 6, 7, 8].includes(index)));
    expect([again.code, again.out, again.err]).toEqual([0, '0 imported, 4 skipped (email exists), 0 bad lines\n', '']);
    await app.login('ann@import.example', 'old password');
  });

  it('ends with 1 where the file is none of these', async () => {
    const answer = await runOn(['mail,password', 'a@example.com,x']);
    expect([answer.code, answer.out]).toEqual([1, '']);
    expect(answer.err).toContain('The first line must name the columns email, name, role, hash');
  });
});
