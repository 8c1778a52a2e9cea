// What authentication costs: the same answer for somebody and for nobody, by turns, in processor time of the server.
//   npm run build && DATABASE_URL=postgres://… REDIS_URL=redis://… node bench/auth.mjs
import { median } from './checks.mjs';
import { load, request } from './load.mjs';
import { startServer } from './processes.mjs';

const SECONDS = Number(process.env.SECONDS ?? 5);
const ROUNDS = Number(process.env.ROUNDS ?? 5);

const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl = 'redis://127.0.0.1:6379/14' } = process.env;
const server = await startServer('stoa', { databaseUrl, redisUrl });
try {
  const answer = await fetch(`${server.url}/api/v1/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${Date.now()}@example.com`, name: 'Benchmark', password: 'Correct-Horse-7' }),
  });
  const { data } = await answer.json();
  // Refused before anything is read: both pass every guard, and neither meets the database.
  const path = '/api/v1/products?limit=0';
  const measure = async (token) => {
    const text = request('GET', path, { token });
    const before = server.cpu();
    const { total } = await load({ port: server.port, connections: 20, seconds: SECONDS, next: () => text });
    return (server.cpu() - before) / total;
  };
  await measure(data.accessToken);
  const costs = { nobody: [], somebody: [] };
  for (let round = 0; round < ROUNDS; round++) {
    costs.nobody.push(await measure());
    costs.somebody.push(await measure(data.accessToken));
  }
  const [nobody, somebody] = [median(costs.nobody), median(costs.somebody)];
  const more = somebody - nobody;
  console.log(`anonymous ${nobody.toFixed(1)} µs, authenticated ${somebody.toFixed(1)} µs: ${more.toFixed(1)} µs more`);
} finally {
  await server.stop();
}
