// What the server does with four times the load that it can take, in rounds: first as many clients as it takes to keep it
// busy, each of which waits for its answers; then requests at four times the rate of that, which wait for nobody, or with
// EAGER=2000 so many clients, each of which asks again as soon as it is answered or refused. Ratios are medians of those of
// the rounds, as a machine that is shared is not equally fast from one round to the next.
//   npm run build && DATABASE_URL=postgres://… node bench/overload.mjs
import { randomUUID } from 'node:crypto';
import { get } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from './checks.mjs';
import { load, request } from './load.mjs';
import { startServer } from './processes.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SECONDS = Number(process.env.SECONDS ?? 5);
const TIMES = Number(process.env.TIMES ?? 4);
/** Until the server knows that this is no rush. What is answered meanwhile is not counted in its rate, but in its times. */
const LEAD_SECONDS = 4;
const CLIENTS = 64;
const EAGER = Number(process.env.EAGER ?? 0);
/** As many connections as load balancers keep; a request that finds none free waits for one, and that counts. */
const CONNECTIONS = 4000;
const ADMIN = { email: 'admin@example.com', password: 'Correct-Horse-9' };

const server = await startServer('stoa', {
  databaseUrl: process.env.DATABASE_URL,
  redisUrl: process.env.REDIS_URL,
  env: {
    // Which does without Redis.
    NODE_ENV: 'test',
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMIT_ANONYMOUS: '0',
    RATE_LIMIT_USER: '0',
    LOG_LEVEL: 'info',
    ...(process.env.DATABASE_POOL_MAX && { DATABASE_POOL_MAX: process.env.DATABASE_POOL_MAX }),
  },
});
const { port } = server;

async function post(path, body, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${server.url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const { data, error } = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status}: ${error.message}`);
  return data;
}

/** Reads and writes as a shop has them: out of ten requests two are orders. */
async function traffic() {
  const { accessToken: admin } = await post('/auth/login', ADMIN);
  const product = { name: 'Mug', price: 1000, currency: 'EUR', stock: 1e9, status: 'active' };
  const ids = [];
  for (let n = 0; n < 20; n++) ids.push((await post('/products', { ...product, sku: randomUUID() }, admin)).id);
  const buyer = { email: `${randomUUID()}@example.com`, name: 'Ann Archer', password: 'Correct-Horse-7' };
  const { accessToken: token } = await post('/auth/register', buyer);
  const details = ids.map((id) => request('GET', `/api/v1/products/${id}`));
  const products = request('GET', '/api/v1/products?limit=20');
  const orders = request('GET', '/api/v1/orders?limit=20', { token });
  let count = 0;
  return () => {
    const turn = count++ % 10;
    if (turn < 4) return details[count % ids.length];
    if (turn < 6) return products;
    if (turn < 8) return orders;
    const body = JSON.stringify({ items: [{ productId: ids[count % ids.length], quantity: 1 }] });
    return request('POST', '/api/v1/orders', { token, headers: { 'Idempotency-Key': randomUUID() }, body });
  };
}

/** The rate of good answers when each client waits for one before it sends the next, and what one costs of CPU time. */
async function best(next, seconds) {
  const before = server.cpu();
  const { statuses, rps } = await load({ port, connections: CLIENTS, seconds, next });
  if (Object.keys(statuses).some((status) => status >= 300)) throw new Error(JSON.stringify(statuses));
  return { rate: rps, cost: (server.cpu() - before) / (rps * seconds) };
}

/** All answers to requests that are sent at this rate, whatever becomes of those before; or to those of eager clients. */
async function flood(next, rate, seconds) {
  const answers = [];
  const delay = monitorEventLoopDelay();
  delay.enable();
  let settled;
  let spent;
  const begin = () => {
    settled = performance.now() + LEAD_SECONDS * 1000;
    spent = (async () => {
      await sleep(LEAD_SECONDS * 1000);
      const before = server.cpu();
      await sleep(seconds * 1000);
      return server.cpu() - before;
    })();
  };
  await load({
    port,
    connections: EAGER || CONNECTIONS,
    hello: request('GET', '/health/live'),
    seconds: LEAD_SECONDS + seconds,
    rate: EAGER > 0 ? undefined : rate,
    next() {
      if (settled === undefined) begin();
      return next();
    },
    each: (answer) => answers.push(answer),
  });
  // Ours is no more than part of what is measured.
  return { answers, settled, end: settled + seconds * 1000, lag: Math.round(delay.max / 1e6), spent: await spent };
}

/** Asks as a load balancer does, each time over a new connection. */
function probe(path) {
  const answers = [];
  let isOn = true;
  const ask = () =>
    new Promise((resolve) => {
      const began = performance.now();
      const end = (status) => resolve({ status, took: performance.now() - began });
      get(server.url + path, { agent: false, timeout: 10_000 }, (response) => {
        response.resume().once('close', () => end(response.statusCode));
      })
        .on('timeout', () => end('none'))
        .on('error', () => end('none'));
    });
  const asking = (async () => {
    for (; isOn; await sleep(200)) answers.push(await ask());
  })();
  return async () => {
    isOn = false;
    await asking;
    const failed = answers.filter(({ status }) => status !== 200).length;
    return { failed, slowest: Math.round(Math.max(...answers.map(({ took }) => took))) };
  };
}

const timesOf = (answers) => answers.map(({ took }) => took).sort((a, b) => a - b);
const share = (sorted, part) => Math.round(sorted[Math.floor(sorted.length * part)] ?? 0);

/** One round: what it can take, and what it makes of four times that. */
async function round(next) {
  const { rate: most, cost } = await best(next, SECONDS);
  const probes = { live: probe('/health/live'), ready: probe('/health/ready') };
  const { answers, settled, end, lag, spent } = await flood(next, TIMES * most, SECONDS);
  const live = await probes.live();
  const ready = await probes.ready();
  const good = answers.filter(({ status }) => status >= 200 && status < 300);
  // What was answered only after the last had been sent, the server has not done in that time.
  const inTime = good.filter(({ at }) => at > settled && at <= end).length;
  const refused = answers.filter(({ status }) => status === 503);
  const took = timesOf(good);
  return {
    best: Math.round(most),
    offered: Math.round(answers.length / (SECONDS + LEAD_SECONDS)),
    good: Math.round(inTime / SECONDS),
    ratio: Number((inTime / SECONDS / most).toFixed(2)),
    // The same by what the server had of the processor, which other programs take from it at one time or the other.
    ratioByCpu: Number(((inTime * cost) / spent).toFixed(2)),
    refused: refused.length,
    refusedWithoutRetryAfter: refused.filter(({ head }) => !/\r\nretry-after: [1-9]/i.test(head)).length,
    other: answers.length - good.length - refused.length,
    p50: share(took, 0.5),
    p99: share(took, 0.99),
    slowest: Math.round(took.at(-1)),
    refusedP50: share(timesOf(refused), 0.5),
    failedProbes: live.failed + ready.failed,
    slowestProbe: Math.max(live.slowest, ready.slowest),
    lag,
  };
}

try {
  const next = await traffic();
  await best(next, Math.min(SECONDS, 3));
  const rounds = [];
  for (let count = 0; count < ROUNDS; count++) rounds.push(await round(next));
  const { rate: after } = await best(next, Math.min(SECONDS, 3));
  const all = (name) => rounds.map((each) => each[name]);
  const report = {
    ratio: median(all('ratio')),
    ratioByCpu: median(all('ratioByCpu')),
    after: Number((after / median(all('best'))).toFixed(2)),
    rounds,
  };
  console.log(JSON.stringify(report, null, 2));
} finally {
  await server.stop();
}
