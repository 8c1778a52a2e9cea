import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { type App, dataOf, NOTHING, startApp } from './app.js';
import { Gate } from './gate.js';
import { PostgresProxy } from './postgres-proxy.js';
import { answering, freePort, Receiver } from './receiver.js';
import { RedisServer, describeWithRedis } from './redis.js';
import { Scrape } from './scrape.js';
import { stopwatch } from './stopwatch.js';
import { until } from './until.js';

jest.setTimeout(120_000);

const ORDER_ROUTE = '/api/v1/orders/:id';

describe('metrics', () => {
  let app: App;
  let url: string;
  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    app = await startApp({
      METRICS_PORT: String(port),
      WEBHOOK_ALLOW_PRIVATE: 'true',
      WEBHOOK_RETRY_SCHEDULE: '0,3600',
      DATABASE_POOL_MAX: '4',
    });
  });
  afterAll(() => app?.stop());

  /** By how much each of these has grown while `work` ran. */
  const growth = async (
    samples: readonly [name: string, labels?: Record<string, string>][],
    work: () => Promise<unknown>,
  ): Promise<number[]> => {
    const before = await Scrape.of(url);
    await work();
    const after = await Scrape.of(url);
    return samples.map((sample) => (after.value(...sample) ?? 0) - (before.value(...sample) ?? 0));
  };

  it('are there to be read, and for nothing else', async () => {
    expect((await fetch(`${url}/metrics?all`)).status).toBe(200);
    const refused = await fetch(`${url}/metrics`, { method: 'POST' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('count requests by route, method and status, and how long they took', async () => {
    const ann = await app.register();
    const labels = { method: 'GET', route: ORDER_ROUTE };
    const grown = await growth(
      [
        ['stoa_http_requests_total', { ...labels, status: '404' }],
        ['stoa_http_requests_total', { ...labels, status: '422' }],
        ['stoa_http_request_duration_seconds_count', labels],
      ],
      async () => {
        await ann.get(`/orders/${NOTHING}`);
        await ann.get(`/orders/${NOTHING}`);
        await ann.get('/orders/me');
        // A request is counted once its answer has gone out.
        await app.logged(({ route, status }) => route === ORDER_ROUTE && status === 422);
      },
    );
    expect(grown).toEqual([2, 1, 3]);
    expect(JSON.stringify((await Scrape.of(url)).samples)).not.toContain(NOTHING);
  });

  it('forget nobody who is in flight, and whoever goes away before their answer', async () => {
    const ann = await app.register();
    const { id } = dataOf(
      await ann.post('/orders', { items: [{ productId: (await app.product()).id, quantity: 1 }] }),
      201,
    );
    const inFlight = async () => (await Scrape.of(url)).value('stoa_http_requests_in_flight');
    const holder = await app.hold('SELECT FROM orders WHERE id = $1 FOR UPDATE', [id]);
    const waits = ann.patch(`/orders/${id}`, { note: 'Ring twice' });
    await holder.somebodyWaits();
    expect(await inFlight()).toBe(1);
    await holder.letGo();
    dataOf(await waits);

    const { port } = new URL(app.url);
    const get = `GET /api/v1/orders HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer ${ann.token}\r\n\r\n`;
    for (let count = 0; count < 60; count++) {
      const socket = connect(Number(port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(get.repeat(1 + (count % 3)));
      await sleep(count % 5);
      socket.resetAndDestroy();
    }
    await until(async () => (await inFlight()) === 0);
  });

  it('put all paths that are none into one route', async () => {
    const [grown] = await growth([['stoa_http_requests_total', { status: '404' }]], async () => {
      for (const path of ['/nowhere/1', '/nowhere/2', '/nowhere/3']) await app.anonymous.get(path);
      await app.logged(({ path }) => path === '/api/v1/nowhere/3');
    });
    expect(grown).toBe(3);
    const routes = (await Scrape.of(url)).samples.map(({ labels }) => labels.route ?? '');
    expect(routes.filter((route) => route.includes('nowhere'))).toEqual([]);
  });

  it('tell how late the event loop is', async () => {
    const before = await Scrape.of(url);
    await sleep(500);
    const after = await Scrape.of(url);
    const grown = (name: string) => after.value(name)! - before.value(name)!;
    expect(grown('stoa_event_loop_delay_seconds_count')).toBeGreaterThan(5);
    expect(grown('stoa_event_loop_delay_seconds_sum')).toBeGreaterThanOrEqual(0);
  });

  it('show the pool, who waits for it and for how long', async () => {
    const before = await Scrape.of(url);
    expect(before.value('stoa_database_up')).toBe(1);
    expect(before.value('stoa_database_pool_connections_max')).toBe(4);

    // Nobody who writes gets on as long as this one holds the row, and they take all four connections.
    const ann = await app.register();
    const hold = app.sql(`BEGIN; SELECT FROM users WHERE id = '${ann.id}' FOR UPDATE; SELECT pg_sleep(3); COMMIT`);
    await sleep(300);
    const renamings = Array.from({ length: 7 }, (_, i) => ann.patch(`/users/${ann.id}`, { name: `Ann ${i}` }));
    const busy = await Scrape.until(url, (scrape) => (scrape.value('stoa_database_pool_waiting') ?? 0) >= 3);
    expect(busy.value('stoa_database_pool_connections')).toBe(4);
    expect(busy.value('stoa_database_pool_connections_idle')).toBe(0);
    await Promise.all([hold, ...renamings]);

    const after = await Scrape.of(url);
    expect(after.value('stoa_database_pool_waiting')).toBe(0);
    const waited = (scrape: Scrape) => scrape.value('stoa_database_pool_acquire_duration_seconds_sum')!;
    expect(waited(after) - waited(before)).toBeGreaterThan(0.5);
  });

  it('count reads of the cache by the tier that had the row', async () => {
    const { id } = await app.product();
    const grown = await growth(
      ['none', 'memory'].map((tier) => ['stoa_cache_reads_total', { cache: 'product', tier }]),
      async () => {
        for (let i = 0; i < 3; i++) await app.anonymous.get(`/products/${id}`);
      },
    );
    expect(grown).toEqual([1, 2]);
  });

  it('count jobs as they are done', async () => {
    const labels = { task: 'mail.send', outcome: 'done' };
    const done = (scrape: Scrape) => scrape.value('stoa_job_duration_seconds_count', labels) ?? 0;
    const before = done(await Scrape.of(url));
    await app.register();
    await Scrape.until(url, (scrape) => done(scrape) > before);
  });

  it('show the jobs that wait, by state, and for how long', async () => {
    const add = (more = '') => app.sql(`SELECT graphile_worker.add_job('test.idle'${more})`);
    await add(`, run_at => now() + interval '1 hour'`);
    await add(`, run_at => now() - interval '1 hour'`);
    const [job] = await add();
    expect(job).toBeDefined();
    await app.sql(
      `UPDATE graphile_worker._private_jobs SET attempts = max_attempts WHERE id = (
         SELECT max(id) FROM graphile_worker._private_jobs)`,
    );
    const jobs = (scrape: Scrape) =>
      ['scheduled', 'ready', 'running', 'failed', 'dead'].map((state) => scrape.value('stoa_jobs', { state }));
    const scrape = await Scrape.until(url, (each) => jobs(each).join() === '1,1,0,0,1');
    const oldest = scrape.value('stoa_jobs_oldest_ready_age_seconds')!;
    expect(oldest).toBeGreaterThanOrEqual(3600);
    expect(oldest).toBeLessThan(3700);
  });

  it('show what the webhooks have not come to yet, and what became of what they have', async () => {
    const receiver = await Receiver.start();
    try {
      const admin = await app.admin();
      await Scrape.until(url, (each) => each.value('stoa_outbox_events') === 0);
      // As the dispatcher of another process, which holds the cursor and gets no further.
      const hold = app.sql('BEGIN; SELECT FROM webhook_cursor FOR UPDATE; SELECT pg_sleep(8); COMMIT');
      await sleep(300);
      receiver.behaviour = answering(500);
      dataOf(await admin.post('/webhooks', { url: receiver.url, eventTypes: ['product.created'] }), 201);
      await app.product();
      await app.product();
      const behind = await Scrape.until(url, (each) => each.value('stoa_outbox_events') === 2);
      expect(behind.value('stoa_outbox_oldest_age_seconds')).toBeGreaterThan(0);
      await hold;

      const failed = (scrape: Scrape) =>
        scrape.value('stoa_webhook_attempt_duration_seconds_count', { outcome: 'failed' });
      const attempted = await Scrape.until(url, (each) => failed(each) === 2);
      expect(attempted.value('stoa_webhook_attempt_delay_seconds_count')).toBe(2);
      await Scrape.until(url, (each) => each.value('stoa_outbox_events') === 0);
      expect((await Scrape.of(url)).value('stoa_outbox_oldest_age_seconds')).toBe(0);

      // Due, and in the hands of a process that says no more of them.
      await app.sql(
        `UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 hour', leased_until = now() + interval '1 hour'`,
      );
      const due = await Scrape.until(url, (each) => each.value('stoa_webhook_deliveries_due') === 2);
      expect(due.value('stoa_webhook_deliveries_oldest_due_age_seconds')).toBeGreaterThanOrEqual(3600);
    } finally {
      await app.sql('DELETE FROM webhooks');
      await receiver.stop();
    }
  });

  it('show whether the newest bookings add up, and when that was looked at', async () => {
    const ann = await app.register();
    const account = await app.funded(ann, 500);
    const checkedAt = (scrape: Scrape) => scrape.value('stoa_ledger_check_timestamp_seconds') ?? 0;
    await app.restart();
    const right = await Scrape.until(url, (each) => checkedAt(each) > 0);
    expect(right.value('stoa_ledger_check_faults')).toBe(0);
    expect(Math.abs(checkedAt(right) - Date.now() / 1000)).toBeLessThan(60);

    // What nobody but a superuser who means it can do.
    const force = (sql: string) => app.sql(`BEGIN; SET LOCAL session_replication_role = replica; ${sql}; COMMIT`);
    await force(`UPDATE accounts SET balance = 501 WHERE id = '${account}'`);
    await force(
      `DELETE FROM ledger_entries WHERE id = (SELECT id FROM ledger_entries WHERE account_id <> '${account}' LIMIT 1)`,
    );
    await app.restart();
    const wrong = await Scrape.until(url, (each) => checkedAt(each) > 0);
    // The account, the transfer that has lost an entry, and the account that it was an entry of.
    expect(wrong.value('stoa_ledger_check_faults')).toBe(3);
    const [line] = await app.logged(({ msg }) => msg === 'The books do not add up');
    expect(JSON.stringify(line)).toContain(account);
  });

  it('are of a worker, too, and so are its probes', async () => {
    const port = await freePort();
    const worker = await app.startWorker({ METRICS_PORT: String(port) });
    try {
      const inside = `http://127.0.0.1:${port}`;
      await Scrape.until(inside, (scrape) => scrape.value('stoa_ledger_check_timestamp_seconds') !== undefined);
      const scrape = await Scrape.of(inside);
      // It serves nobody who could be in flight.
      const isOfServers = (name: string) => ['stoa_redis_up', 'stoa_http_requests_in_flight'].includes(name);
      const known = (await Scrape.of(url)).names.filter((name) => !isOfServers(name));
      expect(scrape.names).toEqual(known);
      expect((await fetch(`${inside}/health/live`)).status).toBe(200);
      const ready = await fetch(`${inside}/health/ready`);
      expect([ready.status, ((await ready.json()) as { status: string }).status]).toEqual([200, 'healthy']);
      expect((await fetch(`${inside}/anything`)).status).toBe(404);
    } finally {
      expect(await worker.stop()).toBe(0);
    }
  });

  it('are all explained to who runs it, and nothing is explained that there is not', async () => {
    const manual = readFileSync(resolve(__dirname, '../docs/operations.md'), 'utf8');
    const explained = [...new Set([...manual.matchAll(/`(stoa_\w+)[`{]/g)].map(([, name]) => name!))].sort();
    const names = (await Scrape.of(url)).names.filter((name) => name.startsWith('stoa_'));
    expect(explained).toEqual([...names, 'stoa_redis_up'].sort());
  });

  it('are what the dashboard and the alerts ask for', async () => {
    const ofHistograms = (await Scrape.of(url)).names.flatMap((name) => [`${name}_bucket`, `${name}_count`]);
    const known = new Set([...(await Scrape.of(url)).names, ...ofHistograms, 'stoa_redis_up']);
    for (const [file, least] of [
      ['dashboard.json', 20],
      ['alerts.yaml', 10],
    ] as const) {
      const text = readFileSync(resolve(__dirname, '../deploy/grafana', file), 'utf8');
      const asked = [...new Set(text.match(/\b(stoa|process|nodejs)_[a-z_]+\b/g))];
      expect(asked.length).toBeGreaterThan(least);
      expect(asked.filter((name) => !known.has(name))).toEqual([]);
    }
  });

  it('raise alerts, each of which is explained with its severity', () => {
    const read = (file: string) => readFileSync(resolve(__dirname, '..', file), 'utf8');
    const { groups } = parse(read('deploy/grafana/alerts.yaml'));
    const rules = groups.flatMap((group: any) => group.rules).map(({ alert, labels }: any) => [alert, labels.severity]);
    const rows = [...read('docs/operations.md').matchAll(/^\| `(Stoa[A-Z]\w+)` +\| (\w+)/gm)];
    expect(rows.map(([, alert, severity]) => [alert, severity])).toEqual(rules);
  });
});

describe('rate limits', () => {
  it('count what they refuse, by the limit that was reached', async () => {
    const app = await startApp({ NODE_ENV: 'development', RATE_LIMIT_ANONYMOUS: '2', RATE_LIMIT_LOGIN: '1' });
    try {
      for (let i = 0; i < 5; i++) await app.anonymous.get('/products');
      const scrape = await Scrape.of(app.url);
      expect(scrape.value('stoa_rate_limit_refusals_total', { policy: 'anonymous' })).toBe(3);
    } finally {
      await app.stop();
    }
  });
});

describe('a scrape', () => {
  it('goes on without what the database would have to say while it is silent', async () => {
    const gate = await Gate.to(process.env.TEST_SERVER_URL!);
    const app = await startApp({ NODE_ENV: 'development' }, (url) => gate.through(url));
    try {
      await Scrape.until(app.url, (each) => each.value('stoa_jobs') !== undefined);
      gate.silence();
      const away = await Scrape.until(app.url, (each) => each.value('stoa_jobs') === undefined);
      expect(away.value('process_cpu_seconds_total')).toBeGreaterThan(0);
      await Scrape.until(app.url, (each) => each.value('stoa_database_up') === 0);
      const took = stopwatch();
      await Scrape.of(app.url);
      expect(took()).toBeLessThan(5000);
      gate.open();
      await Scrape.until(
        app.url,
        (each) => each.value('stoa_jobs') !== undefined && each.value('stoa_database_up') === 1,
      );
    } finally {
      gate.open();
      await app.stop();
      await gate.close();
    }
  });

  it('asks the database no more often for being made more often', async () => {
    const proxy = await PostgresProxy.start(process.env.TEST_SERVER_URL!);
    const app = await startApp({ NODE_ENV: 'development' }, (url) => proxy.gate.through(url));
    try {
      const start = Date.now();
      for (let i = 0; i < 30; i++) await Scrape.of(app.url);
      const asked = proxy.statements.filter(({ sql }) => sql.includes('json_object_agg(state, jobs)'));
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.length).toBeLessThanOrEqual(1 + Math.floor((Date.now() - start) / 5000));
    } finally {
      await app.stop();
      await proxy.gate.close();
    }
  });
});

describeWithRedis('Redis', () => {
  it('is shown to be there, or not', async () => {
    const redis = await RedisServer.start();
    const app = await startApp({ NODE_ENV: 'development', REDIS_URL: redis.url });
    try {
      await Scrape.until(app.url, (scrape) => scrape.value('stoa_redis_up') === 1);
      await redis.kill();
      await Scrape.until(app.url, (scrape) => scrape.value('stoa_redis_up') === 0);
    } finally {
      await app.stop();
      await redis.kill();
    }
  });
});
