// What authentication costs: the same answer for somebody and for nobody, by turns, on a server of its own. Counted in
// processor time of the server, which other programs on the machine disturb less than the rate.
//   npm run build && DATABASE_URL=postgres://… node bench/auth.mjs
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import autocannon from 'autocannon';

const SECONDS = Number(process.env.SECONDS ?? 5);
const ROUNDS = Number(process.env.ROUNDS ?? 5);

const server = spawn(process.execPath, ['dist/src/main.js'], {
  env: {
    ...process.env,
    NODE_ENV: 'test',
    PORT: '0',
    JWT_SECRET: 'only-for-this-benchmark-and-nothing-else',
    RATE_LIMIT_ANONYMOUS: '0',
    RATE_LIMIT_USER: '0',
    LOG_LEVEL: 'info',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const lines = createInterface({ input: server.stdout });
const url = await new Promise((resolve, reject) => {
  lines.on('line', (line) => {
    const { msg, url: at } = line.startsWith('{') ? JSON.parse(line) : {};
    if (msg === 'Listening') resolve(at);
  });
  server.once('exit', () => reject(new Error('The server did not start')));
});

try {
  const answer = await fetch(`${url}/api/v1/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${Date.now()}@example.com`, name: 'Benchmark', password: 'Correct-Horse-7' }),
  });
  const { data } = await answer.json();
  const token = { authorization: `Bearer ${data.accessToken}` };
  // Refused before anything is read: both pass every guard, and neither meets the database.
  const path = '/api/v1/products?limit=0';
  // Linux counts it in hundredths of a second: the 14th and 15th field, of which the second may contain blanks.
  const cpuMicroseconds = () => {
    const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  };
  const measure = async (headers) => {
    const before = cpuMicroseconds();
    const { requests } = await autocannon({ url: url + path, headers, connections: 20, duration: SECONDS });
    return (cpuMicroseconds() - before) / requests.total;
  };
  await measure(token);
  const costs = { nobody: [], somebody: [] };
  for (let round = 0; round < ROUNDS; round++) {
    costs.nobody.push(await measure({}));
    costs.somebody.push(await measure(token));
  }
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const [nobody, somebody] = [median(costs.nobody), median(costs.somebody)];
  const more = somebody - nobody;
  console.log(`anonymous ${nobody.toFixed(1)} µs, authenticated ${somebody.toFixed(1)} µs: ${more.toFixed(1)} µs more`);
} finally {
  server.kill('SIGTERM');
}
