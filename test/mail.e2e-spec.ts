import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type App, dataOf, startApp } from './app.js';
import { MailServer } from './mail.js';
import { mailJob } from './mails.js';
import { until } from './until.js';

jest.setTimeout(120_000);

const TOKEN = 'a-token-that-nobody-may-see';
const VERIFY = `https://shop.example/verify-email?token=${TOKEN}`;

describe('a mail without a mail server', () => {
  it('is written to a file in development, and the log says where', async () => {
    const app = await startApp({ APP_URL: 'https://shop.example' });
    try {
      await enqueue(app, 'ann@example.com', { name: 'Ann <Archer>', verifyUrl: VERIFY });
      const mail = await app.mailTo('ann@example.com');
      expect(mail).toMatchObject({ subject: 'Welcome', from: 'no-reply@shop.example', links: [VERIFY] });
      expect(mail.text).toContain(VERIFY);
      expect(mail.html).toContain('Hello Ann &lt;Archer&gt;,');

      const [line, ...others] = await app.logged(({ msg }) => msg === 'Mail written');
      expect(others).toEqual([]);
      expect(String(line!.path)).toMatch(new RegExp(`^${join(app.dataDir, 'mail')}/.*-welcome-.*\\.eml$`));
      expect((await stat(String(line!.path))).mode & 0o777).toBe(0o600);
      expect(await readdir(join(app.dataDir, 'mail'))).toEqual([
        expect.stringMatching(/\.eml$/),
        expect.stringMatching(/\.html$/),
      ]);
      expect(app.output()).not.toContain(TOKEN);
    } finally {
      await app.stop();
    }
  });

  it('is dropped in production, with a warning', async () => {
    const app = await startApp({
      NODE_ENV: 'production',
      REDIS_URL: 'redis://127.0.0.1:1',
      APP_URL: 'https://shop.example',
    });
    try {
      expect(app.logs().filter(({ msg }) => /no mail will be sent/.test(msg ?? ''))).toHaveLength(1);
      await enqueue(app, 'ann@example.com');
      expect(await app.logged(({ msg }) => /a mail was dropped/.test(msg ?? ''))).toMatchObject([
        { level: 'warn', template: 'welcome' },
      ]);
      expect(await readdir(app.dataDir)).not.toContain('mail');
      expect(app.output()).not.toMatch(new RegExp(`${TOKEN}|ann@example`));
    } finally {
      await app.stop();
    }
  });
});

describe('a mail server', () => {
  let app: App;
  let server: MailServer;
  beforeAll(async () => {
    server = await MailServer.start();
    app = await startApp({ SMTP_URL: server.url, MAIL_FROM: 'The Shop <shop@shop.example>' });
  });
  afterAll(async () => {
    await app?.stop();
    await server?.stop();
  });

  it('gets the mail, in which nothing passes for a header or an address of ours', async () => {
    const hostile = 'Ann\r\nBcc: everybody@example.com';
    await enqueue(app, 'ann@example.com', { name: hostile, verifyUrl: VERIFY });
    const mail = await server.mailTo('ann@example.com');
    expect(mail).toMatchObject({ from: 'shop@shop.example', subject: 'Welcome', links: [VERIFY] });
    expect(mail.text).toContain('Hello Ann Bcc: everybody@example.com,');

    const before = server.recipients.length;
    const { id } = await enqueue(app, 'bob@example.com, carl@example.com');
    await until(async () => [undefined, 'dead'].includes((await jobOf(app, id))?.state));
    expect(server.recipients.slice(before).filter((address) => /^(carl|everybody)@/.test(address))).toEqual([]);
  });

  it('that is away is asked again, for the same mail', async () => {
    const first = await MailServer.start();
    const { port, url } = first;
    await first.stop();
    const lonely = await startApp({ SMTP_URL: url });
    let second: MailServer | undefined;
    try {
      const { id, messageId } = await enqueue(lonely, 'patient@example.com');
      await lonely.logged(({ msg }) => msg === 'Job failed, to be tried again');
      expect(await jobOf(lonely, id)).toMatchObject({ state: 'failed', attempts: 1, lastError: expect.any(String) });
      second = await MailServer.start({ port });
      const mail = await second.mailTo('patient@example.com');
      expect(mail.messageId).toBe(`<${messageId}@localhost>`);
    } finally {
      await lonely.stop();
      await second?.stop();
    }
  });

  it('that says "not now" is asked again', async () => {
    server.refusal = { code: 451, message: 'Try again later' };
    const { id } = await enqueue(app, 'greylisted@example.com');
    await until(async () => (await jobOf(app, id))?.state === 'failed');
    const [{ payload } = {}] = await app.sql(`SELECT payload::text FROM graphile_worker._private_jobs WHERE id = $1`, [
      id,
    ]);
    expect(payload).not.toMatch(new RegExp(`${TOKEN}|greylisted`));
    server.refusal = undefined;
    await server.mailTo('greylisted@example.com');
  });

  it('that says "never" is not asked again, until somebody says so', async () => {
    server.refusal = { code: 550, message: `No mail for unknown@example.com with ${VERIFY} and ${TOKEN}` };
    const { id, messageId } = await enqueue(app, 'unknown@example.com');
    await until(async () => (await jobOf(app, id))?.state === 'dead');
    const admin = await app.admin();
    const [job] = dataOf(await admin.get('/jobs?state=dead&queue=mail.send'));
    expect(job).toMatchObject({ id, lastError: expect.stringContaining('550') });
    expect(JSON.stringify(job)).not.toMatch(new RegExp(`${TOKEN}|unknown@example`));
    expect(app.output()).not.toMatch(new RegExp(`${TOKEN}|unknown@example`));

    server.refusal = undefined;
    const retried = dataOf(await admin.post(`/jobs/${id}/retries`), 202);
    expect(retried).toMatchObject({ id, state: 'ready', attempts: 0 });
    expect((await server.mailTo('unknown@example.com')).messageId).toBe(`<${messageId}@shop.example>`);
    await until(async () => (await jobOf(app, id)) === undefined);
  });

  it('is not asked for what is no mail', async () => {
    const unknown = mailJob({ to: 'ann@example.com', template: 'toString', data: {} });
    const unreadable = [
      { ...unknown, sealed: 'nonsense' },
      { ...unknown, messageId: 'another' },
    ];
    for (const payload of [{}, unknown, ...unreadable]) {
      const [row] = await app.sql(`SELECT id FROM graphile_worker.add_job('mail.send', $1::json)`, [
        JSON.stringify(payload),
      ]);
      const state = unreadable.some((each) => each === payload) ? 'failed' : 'dead';
      await until(async () => (await jobOf(app, String(row!.id)))?.state === state);
    }
  });
});

async function enqueue(
  app: App,
  to: string,
  data: object = { name: 'Ann', verifyUrl: VERIFY },
): Promise<{ id: string; messageId: string }> {
  const payload = mailJob({ to, template: 'welcome', data });
  const [job] = await app.sql(`SELECT id FROM graphile_worker.add_job('mail.send', $1::json)`, [
    JSON.stringify(payload),
  ]);
  return { id: String(job!.id), messageId: payload.messageId };
}

async function jobOf(app: App, id: string): Promise<any> {
  const jobs = dataOf(await (await app.admin()).get('/jobs?limit=100'));
  return jobs.find((job: any) => job.id === id);
}
