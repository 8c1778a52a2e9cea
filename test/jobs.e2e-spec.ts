import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { type App, dataOf, failureOf, fieldsOf, startApp } from './app.js';
import { Gate } from './gate.js';
import { MailServer } from './mail.js';
import { mailJob } from './mails.js';
import type { Server } from './server.js';
import { until } from './until.js';

jest.setTimeout(120_000);

/** Nobody handles these, so they stay as they are. */
const IDLE = 'test.idle';

let mails: MailServer;
beforeAll(async () => {
  mails = await MailServer.start();
});
afterAll(() => mails?.stop());
afterEach(() => {
  mails.refusal = undefined;
  mails.held = Promise.resolve();
});

describe('the list of jobs', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app?.stop());

  it('is for admins', async () => {
    const ann = await app.register();
    const moderator = await app.moderator();
    const id = await enqueue(app, IDLE);
    for (const [client, failure] of [
      [app.anonymous, '401 UNAUTHORIZED'],
      [ann, '403 FORBIDDEN'],
      [moderator, '403 FORBIDDEN'],
    ] as const) {
      expect(failureOf(await client.get('/jobs'))).toBe(failure);
      expect(failureOf(await client.post(`/jobs/${id}/retries`))).toBe(failure);
    }
  });

  it('shows in which state each job is, and in which queue', async () => {
    const admin = await app.admin();
    const queue = `states ${uuid()}`;
    const later = `now() + interval '1 hour'`;
    const scheduled = await enqueue(app, IDLE, { queue, columns: { run_at: later } });
    const ready = await enqueue(app, IDLE, { queue });
    const running = await enqueue(app, IDLE, { queue, columns: { locked_at: 'now()', locked_by: `'a worker'` } });
    const failed = await enqueue(app, IDLE, { queue, columns: { attempts: '1', run_at: later, last_error: `'Away'` } });
    const dead = await enqueue(app, IDLE, { queue, columns: { attempts: '25', last_error: `'Away for good'` } });

    const all = dataOf(await admin.get(`/jobs?queue=${encodeURIComponent(queue)}`));
    expect(all.map(({ id, state }: any) => [id, state])).toEqual([
      [dead, 'dead'],
      [failed, 'failed'],
      [running, 'running'],
      [ready, 'ready'],
      [scheduled, 'scheduled'],
    ]);
    expect(all[1]).toMatchObject({ queue, attempts: 1, maxAttempts: 25, lastError: 'Away' });
    expect(all[3]).toMatchObject({ queue, attempts: 0, maxAttempts: 25, lastError: null });
    for (const { id, state } of all) {
      const [only, ...others] = dataOf(await admin.get(`/jobs?state=${state}&queue=${encodeURIComponent(queue)}`));
      expect([only.id, others]).toEqual([id, []]);
    }
    expect(failureOf(await admin.post(`/jobs/${running}/retries`))).toBe('409 CONFLICT');
    await app.sql('DELETE FROM graphile_worker._private_jobs WHERE id = $1', [running]);
  });

  it('calls the queue of a job without one as its task', async () => {
    const id = await enqueue(app, 'test.lonely');
    expect(dataOf(await (await app.admin()).get('/jobs?queue=test.lonely'))).toMatchObject([
      { id, queue: 'test.lonely', state: 'ready' },
    ]);
  });

  it('is walked by cursor and by page, in any of its orders', async () => {
    const admin = await app.admin();
    const queue = `walk-${uuid()}`;
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.push(await enqueue(app, IDLE, { queue }));

    for (const order of ['sortBy=createdAt&sortOrder=asc', 'sortBy=runAt&sortOrder=asc']) {
      const walked: string[] = [];
      for (let cursor = ''; ;) {
        const { body } = await admin.get(`/jobs?queue=${queue}&limit=2&${order}${cursor}`);
        walked.push(...body.data.map(({ id }: any) => id));
        if (!body.meta.pagination.hasNext) break;
        cursor = `&cursor=${body.meta.pagination.nextCursor}`;
      }
      expect(walked).toEqual(ids);
    }
    const { body } = await admin.get(`/jobs?queue=${queue}&limit=2&page=2`);
    expect(body.data.map(({ id }: any) => id)).toEqual([ids[2], ids[1]]);
    expect(body.meta.pagination).toMatchObject({ page: 2, total: 5, totalPages: 3 });
    expect(failureOf(await admin.get(`/jobs?limit=2&cursor=nonsense`))).toBe('400 INVALID_CURSOR');
  });

  it('refuses what it does not know', async () => {
    const admin = await app.admin();
    for (const [query, field] of [
      ['state=sleepy', 'state'],
      ['queue=', 'queue'],
      ['sortBy=lastError', 'sortBy'],
      ['payload=1', 'payload'],
    ] as const) {
      const answer = await admin.get(`/jobs?${query}`);
      expect([failureOf(answer), fieldsOf(answer)]).toEqual(['422 VALIDATION_ERROR', [field]]);
    }
    for (const id of ['999999999', '0', '-1', '1e3', 'abc', '9'.repeat(40), uuid(), '%00', "1'--"]) {
      expect(failureOf(await admin.post(`/jobs/${id}/retries`))).toBe('404 NOT_FOUND');
    }
  });
});

describe('workers', () => {
  it('are not in a server with JOBS=off, but in a process of their own', async () => {
    const app = await startApp({ JOBS: 'off', SMTP_URL: mails.url });
    let worker: Server | undefined;
    try {
      const id = await enqueueMail(app, 'off@example.com');
      await sleep(3000);
      expect(await stateOf(app, id)).toBe('ready');

      worker = await app.startWorker();
      expect((await mails.mailTo('off@example.com')).subject).toBe('Welcome');
      await gone(app, id);
      expect(await worker.stop()).toBe(0);
      expect(worker.logs().at(-1)).toMatchObject({ msg: 'Stopped' });
      expect(app.logs().filter(({ msg }) => msg === 'Job done')).toEqual([]);
      const [done] = worker.logs().filter(({ msg }) => msg === 'Job done');
      expect(done).toMatchObject({ task: 'mail.send', attempt: 1, outcome: 'done', durationMs: expect.any(Number) });
      expect(done).not.toHaveProperty('requestId');
    } finally {
      await worker?.kill();
      await app.stop();
    }
  });

  it('that are killed lose their jobs to the others', async () => {
    const app = await startApp({ SMTP_URL: mails.url });
    let worker: Server | undefined;
    try {
      mails.held = new Promise(() => undefined);
      const id = await enqueueMail(app, 'killed@example.com', { queue: 'one after the other' });
      // Other mails may be begun before it: that of the admin's new session.
      await until(async () => (await stateOf(app, id)) === 'running');
      const second = await enqueueMail(app, 'second@example.com', { queue: 'one after the other' });
      expect(await stateOf(app, second)).toBe('ready');

      worker = await app.startWorker();
      mails.held = Promise.resolve();
      await app.kill();
      const killedAt = Date.now();
      await mails.mailTo('killed@example.com', 40_000);
      await mails.mailTo('second@example.com');
      expect(Date.now() - killedAt).toBeLessThan(30_000);
      expect(worker.logs().find(({ msg }) => msg === 'Job done')).toMatchObject({ attempt: 2 });
      expect(await worker.stop()).toBe(0);
    } finally {
      await worker?.kill();
      await app.stop();
    }
  });

  it('that are told to stop end what they are at', async () => {
    const app = await startApp({ SMTP_URL: mails.url });
    try {
      let release = (): void => undefined;
      mails.held = new Promise<void>((resolve) => (release = resolve));
      const begun = mails.begun;
      const id = await enqueueMail(app, 'stopping@example.com');
      await until(() => mails.begun > begun);
      app.signal('SIGTERM');
      const late = await enqueueMail(app, 'late@example.com');
      await sleep(1000);
      expect(await stateOf(app, id)).toBe('running');
      release();
      await until(() => app.logs().some(({ msg }) => msg === 'Stopped'));
      expect(app.logs().find(({ msg }) => msg === 'Job done')).toMatchObject({ attempt: 1 });
      expect(await stateOf(app, id)).toBeUndefined();
      expect(await stateOf(app, late)).toBe('ready');
      expect(mails.mails.filter(({ to }) => to === 'stopping@example.com')).toHaveLength(1);
    } finally {
      await app.stop();
    }
  });

  it('that are told to stop give back what does not end', async () => {
    const app = await startApp({ SMTP_URL: mails.url, SHUTDOWN_TIMEOUT: '7' });
    try {
      mails.held = new Promise(() => undefined);
      const begun = mails.begun;
      const id = await enqueueMail(app, 'endless@example.com');
      await until(() => mails.begun > begun);
      app.signal('SIGTERM');
      await until(() => app.logs().some(({ msg }) => msg === 'Stopped'));
      expect(await stateOf(app, id)).toBe('ready');
    } finally {
      await app.stop();
    }
  });

  it('outlive the database, and go on when it is back', async () => {
    const gate = await Gate.to(process.env.TEST_SERVER_URL!);
    const app = await startApp({ SMTP_URL: mails.url }, (url) => gate.through(url));
    try {
      let release = (): void => undefined;
      mails.held = new Promise<void>((resolve) => (release = resolve));
      const begun = mails.begun;
      // One is at work when the database goes, and can not be marked as done.
      await enqueueMail(app, 'at-work@example.com');
      await until(() => mails.begun > begun);
      gate.shut();
      release();
      await sleep(4000);
      gate.open();

      await enqueueMail(app, 'afterwards@example.com');
      await mails.mailTo('afterwards@example.com');
      await until(async () => (await jobsOf(app)).length === 0, 40_000);
      expect(app.logs().filter(({ level }) => level === 'fatal')).toEqual([]);
      expect(await app.end()).toBe(0);
    } finally {
      await app.stop();
      await gate.close();
    }
  });

  it('notice a database that does not answer any more', async () => {
    const gate = await Gate.to(process.env.TEST_SERVER_URL!);
    const app = await startApp({ SMTP_URL: mails.url }, (url) => gate.through(url));
    try {
      gate.silence();
      await until(() => app.logs().some(({ msg }) => msg === 'Jobs could not be worked'), 40_000);
      // What was asked before is never answered; who asks anew is.
      gate.cut();
      gate.open();
      await enqueueMail(app, 'thawed@example.com');
      await mails.mailTo('thawed@example.com');
    } finally {
      await app.stop();
      await gate.close();
    }
  });
});

describe('a schedule', () => {
  it('is kept once, however many processes there are, also when it was missed', async () => {
    const app = await startApp({ JOBS: 'off' });
    const workers: Server[] = [];
    try {
      await app.sql(`
        INSERT INTO graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
        VALUES ('jobs.clean', now() - interval '3 days', now() - interval '2 days')`);
      const columns = { attempts: '25', run_at: `now() - interval '31 days'` };
      const old = await enqueue(app, IDLE, { columns });
      const recent = await enqueue(app, IDLE, { columns: { ...columns, run_at: `now() - interval '29 days'` } });
      workers.push(...(await Promise.all([app.startWorker(), app.startWorker()])));
      await gone(app, old);
      await sleep(2000);
      const done = workers.flatMap((worker) => worker.logs()).filter(({ task }) => task === 'jobs.clean');
      expect(done).toMatchObject([{ msg: 'Job done', attempt: 1 }]);
      expect(await stateOf(app, recent)).toBe('dead');
    } finally {
      await Promise.all(workers.map((worker) => worker.kill()));
      await app.stop();
    }
  });
});

describe('the tables of the jobs', () => {
  it('have to be there where the server may not make them', async () => {
    // A worker that is just starting would make them again.
    const app = await startApp({ JOBS: 'off' });
    try {
      await app.sql('DROP SCHEMA graphile_worker CASCADE');
      await expect(app.restart({ MIGRATE: 'off' })).rejects.toThrow(/lacks migrations/);
      await app.start();
      await app.restart({ MIGRATE: 'off' });
    } finally {
      await app.stop();
    }
  });
});

interface Enqueued {
  queue?: string;
  /** What to set in its row, as SQL. */
  columns?: Record<string, string>;
}

/** A job as any module would leave it. */
async function enqueue(app: App, task: string, { queue, columns = {} }: Enqueued = {}, payload = {}): Promise<string> {
  const [job] = await app.sql('SELECT id FROM graphile_worker.add_job($1, $2::json, queue_name => $3)', [
    task,
    JSON.stringify(payload),
    queue ?? null,
  ]);
  const id = String(job!.id);
  const set = Object.entries(columns).map(([column, value]) => `${column} = ${value}`);
  if (set.length > 0) await app.sql(`UPDATE graphile_worker._private_jobs SET ${set.join(', ')} WHERE id = $1`, [id]);
  return id;
}

function enqueueMail(app: App, to: string, options: Enqueued = {}): Promise<string> {
  const data = { name: 'Ann', verifyUrl: 'https://shop.example/verify?token=very-secret-token' };
  return enqueue(app, 'mail.send', options, mailJob({ to, template: 'welcome', data }));
}

interface JobRow {
  id: string;
  state: string;
}

async function jobsOf(app: App): Promise<JobRow[]> {
  const rows = await app.sql(`
    SELECT id, CASE WHEN locked_at IS NOT NULL THEN 'running' WHEN attempts >= max_attempts THEN 'dead'
                    WHEN run_at <= now() THEN 'ready' ELSE 'waiting' END AS state
      FROM graphile_worker._private_jobs`);
  return rows.map(({ id, state }) => ({ id: String(id), state: String(state) }));
}

async function stateOf(app: App, id: string): Promise<string | undefined> {
  return (await jobsOf(app)).find((job) => job.id === id)?.state;
}

const gone = (app: App, id: string): Promise<void> => until(async () => (await stateOf(app, id)) === undefined);
