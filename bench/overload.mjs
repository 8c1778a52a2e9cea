// What the server does with four times the load that it can take: first as many clients as it takes to keep it busy, each
// of which waits for its answers; then requests at four times the rate of that, which wait for nobody.
//   npm run build && DATABASE_URL=postgres://… node bench/overload.mjs
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';

const SECONDS = Number(process.env.SECONDS ?? 10);
const TIMES = Number(process.env.TIMES ?? 4);
const CLIENTS = 64;
/** Until the server knows that this is no rush. What is answered meanwhile is not counted in its rate, but in its times. */
const LEAD_SECONDS = 4;
/** Whoever has no answer by then has gone. */
const PATIENCE_MS = 20_000;

const server = spawn(process.execPath, ['dist/src/main.js'], {
  env: {
    ...process.env,
    NODE_ENV: 'test',
    PORT: '0',
    JWT_SECRET: 'only-for-this-benchmark-and-nothing-else',
    RATE_LIMIT_ANONYMOUS: '0',
    RATE_LIMIT_USER: '0',
    ADMIN_EMAIL: 'admin@example.com',
    ADMIN_PASSWORD: 'Correct-Horse-9',
    LOG_LEVEL: 'info',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const lines = createInterface({ input: server.stdout });
const url = await new Promise((resolve, reject) => {
  lines.on('line', (line) => {
    if (!line.includes('Listening')) return;
    resolve(JSON.parse(line).url);
    // From here on what it says is only taken off its hands.
    lines.close();
    server.stdout.resume();
  });
  server.once('exit', () => reject(new Error('The server did not start')));
});

/** As many connections as a load balancer keeps; who finds none free waits for one, and that counts. */
const CONNECTIONS = 5000;
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS });
const probes = new Agent({ keepAlive: false });

/** Status and body of the answer, and how long it took; status 0 where none came. */
function send(method, path, { body, headers = {}, through = agent } = {}) {
  const start = performance.now();
  return new Promise((resolve) => {
    const end = (status, answer) => {
      const at = performance.now();
      resolve({ status, ...answer, at, took: at - start });
    };
    const outgoing = request(url + path, {
      method,
      agent: through,
      timeout: PATIENCE_MS,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('No answer')));
    outgoing.on('error', () => end(0, { text: '' }));
    outgoing.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => end(response.statusCode, { text, retryAfter: response.headers['retry-after'] }));
      response.on('error', () => end(0, { text: '' }));
    });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function dataOf(answer) {
  const { status, text } = await answer;
  if (status >= 300 || status === 0) throw new Error(`${status}: ${text}`);
  return JSON.parse(text).data;
}

/** Reads and writes as a shop has them: out of ten requests two are orders. */
async function traffic() {
  const admin = { email: 'admin@example.com', password: 'Correct-Horse-9' };
  const { accessToken: adminToken } = await dataOf(send('POST', '/api/v1/auth/login', { body: admin }));
  const product = { sku: randomUUID(), name: 'Mug', price: 1000, currency: 'EUR', stock: 1e9, status: 'active' };
  const headers = { authorization: `Bearer ${adminToken}` };
  const ids = [];
  for (let n = 0; n < 20; n++) {
    const body = { ...product, sku: randomUUID() };
    ids.push((await dataOf(send('POST', '/api/v1/products', { body, headers }))).id);
  }
  const guest = { email: `${randomUUID()}@example.com`, name: 'Ann Archer', password: 'Correct-Horse-7' };
  const { accessToken } = await dataOf(send('POST', '/api/v1/auth/register', { body: guest }));
  const authorization = { authorization: `Bearer ${accessToken}` };
  let count = 0;
  return () => {
    const turn = count++ % 10;
    const productId = ids[count % ids.length];
    if (turn < 4) return send('GET', `/api/v1/products/${productId}`);
    if (turn < 6) return send('GET', '/api/v1/products?limit=20');
    if (turn < 8) return send('GET', '/api/v1/orders?limit=20', { headers: authorization });
    const body = { items: [{ productId, quantity: 1 }] };
    return send('POST', '/api/v1/orders', { body, headers: { ...authorization, 'idempotency-key': randomUUID() } });
  };
}

// Linux counts it in hundredths of a second: the 14th and 15th field, of which the second may contain blanks.
const cpuSeconds = () => {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** The rate of good answers, when each client waits for one before it sends the next. */
async function best(next, seconds) {
  const until = performance.now() + seconds * 1000;
  let good = 0;
  const client = async () => {
    while (performance.now() < until) if ((await next()).status < 300) good++;
  };
  const cpu = cpuSeconds();
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { rate: good / seconds, cost: (cpuSeconds() - cpu) / good };
}

/** All answers to requests that are sent at this rate, whatever becomes of those before. */
async function flood(next, rate, seconds) {
  const answers = [];
  const delay = monitorEventLoopDelay();
  delay.enable();
  const begin = performance.now();
  const settled = begin + LEAD_SECONDS * 1000;
  let cpu;
  for (let sent = 0, now = begin; now < settled + seconds * 1000; now = performance.now()) {
    if (now >= settled) cpu ??= cpuSeconds();
    for (const due = ((now - begin) / 1000) * rate; sent < due; sent++) answers.push(next());
    await sleep(2);
  }
  const end = performance.now();
  const spent = cpuSeconds() - cpu;
  // Ours is no more than part of what is measured.
  const lag = Math.round(delay.max / 1e6);
  return { answers: await Promise.all(answers), settled, end, lag, spent };
}

/** Asks as a load balancer does, each time over a new connection. */
function probe(path) {
  const answers = [];
  let isOn = true;
  const asking = (async () => {
    while (isOn) {
      answers.push(await send('GET', path, { through: probes }));
      await sleep(200);
    }
  })();
  return async () => {
    isOn = false;
    await asking;
    return { failed: answers.filter(({ status }) => status !== 200).length, slowest: Math.round(slowest(answers)) };
  };
}

const slowest = (answers) => Math.max(...answers.map(({ took }) => took));

try {
  const next = await traffic();
  await best(next, Math.min(SECONDS, 3));
  const { rate: most, cost } = await best(next, SECONDS);
  await Promise.all(Array.from({ length: CONNECTIONS }, () => send('GET', '/health/live')));
  const live = probe('/health/live');
  const ready = probe('/health/ready');
  const { answers, settled, end, lag, spent } = await flood(next, TIMES * most, SECONDS);
  const probed = { live: await live(), ready: await ready() };
  const good = answers.filter(({ status }) => status >= 200 && status < 300);
  // What was answered only after the last had been sent, the server has not done in that time.
  const inTime = good.filter(({ at }) => at > settled && at <= end);
  const refused = answers.filter(({ status }) => status === 503);
  const took = good.map((answer) => answer.took).sort((a, b) => a - b);
  const after = (await best(next, Math.min(SECONDS, 3))).rate / most;
  console.log(
    JSON.stringify(
      {
        best: Math.round(most),
        offered: Math.round(answers.length / (SECONDS + LEAD_SECONDS)),
        good: Math.round(inTime.length / SECONDS),
        ratio: Number((inTime.length / SECONDS / most).toFixed(2)),
        // The same by what the server had of the processor, which other programs take from it at one time or the other.
        ratioByCpu: Number(((inTime.length * cost) / spent).toFixed(2)),
        refused: refused.length,
        refusedWithoutRetryAfter: refused.filter(({ retryAfter }) => !(Number(retryAfter) > 0)).length,
        other: answers.length - good.length - refused.length,
        p50: Math.round(took[took.length >> 1]),
        p99: Math.round(took[Math.floor(took.length * 0.99)]),
        slowest: Math.round(took.at(-1)),
        refusedP50: Math.round(refused.map((answer) => answer.took).sort((a, b) => a - b)[refused.length >> 1] ?? 0),
        live: probed.live,
        ready: probed.ready,
        lag,
        after: Number(after.toFixed(2)),
      },
      null,
      2,
    ),
  );
} finally {
  server.kill('SIGTERM');
}
process.exit(0);
