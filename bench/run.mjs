// `npm run bench`: Stoa against the references, in turn. docs/performance.md says how to use it and how to read it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { checks } from './checks.mjs';
import { Comparison } from './compare.mjs';
import { createDatabase, readData } from './database.mjs';
import { Postgres, Redis, startServer } from './processes.mjs';
import { goals, intoDocument } from './table.mjs';
import { works } from './works.mjs';

const SERVER = process.env.BENCH_DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432';
const REDIS = process.env.BENCH_REDIS_URL ?? 'redis://127.0.0.1:6379/14';
const RESULTS = 'bench/results.json';
/** What a quick run may lose of the ratios that were committed before it fails. */
const TOLERATED = 0.8;
const QUICK = ['orders-get', 'products-get', 'orders-list', 'orders-post', 'transfers'];

const text = { type: 'string' };
const flag = { type: 'boolean', default: false };
const { values: options } = parseArgs({
  options: {
    quick: flag,
    only: text,
    against: text,
    rounds: text,
    seconds: text,
    requests: text,
    profile: flag,
    write: flag,
  },
});
const { quick, profile } = options;
const mode = quick ? 'quick' : 'full';
const size = {
  users: 1000,
  ...(quick ? { products: 10_000, orders: 20_000 } : { products: 100_000, orders: 100_000 }),
};
const rounds = Number(options.rounds ?? (profile ? 1 : quick ? 3 : 5));
const seconds = Number(options.seconds ?? (profile ? 15 : quick ? 1 : 4));
/** Of the measurement of memory. */
const requests = Number(options.requests ?? 1_000_000);
const references = profile
  ? []
  : (options.against ?? (quick ? 'tuned' : 'tuned,typical,orm')).split(',').filter(Boolean);
const warmUp = quick ? { requests: 3000, seconds: 3 } : { requests: 20_000, seconds: 15 };

const say = (line = '') => process.stdout.write(`${line}\n`);

const database = await createDatabase(SERVER, size, say);
const postgres = new Postgres(database.url);
const redis = new Redis(REDIS);
const nodeOptions = profile ? ['--cpu-prof', '--cpu-prof-dir=bench/profiles'] : [];
const start = (name) => startServer(name, { databaseUrl: database.url, redisUrl: REDIS, nodeOptions });
const results = { machine: '', works: {}, checks: {} };
const servers = [];
try {
  await postgres.start();
  await redis.start();
  results.machine = await machine();
  const all = works(await readData(database.url));
  const known = [...Object.keys(all).filter((name) => name !== 'login'), ...Object.keys(checks)];
  const chosen = options.only?.split(',') ?? (quick ? QUICK : known);
  for (const name of chosen) if (!known.includes(name)) throw new Error(`${name} is none of ${known.join(', ')}`);

  if (profile) mkdirSync('bench/profiles', { recursive: true });
  const comparison = new Comparison({ servers, postgres, redis, rounds, seconds, warmUp, say });
  const compared = chosen.filter((name) => name in all && !(name in checks));
  for (const name of compared.length > 0 ? ['stoa', ...references] : []) {
    const server = await start(name);
    servers.push(server);
    await comparison.pause(server);
  }
  for (const name of compared) {
    const result = await comparison.run(name, all[name]);
    if (!quick && references.includes('tuned')) {
      result.halfLoad = await comparison.atHalfLoad(['stoa', 'tuned'], all[name], result.servers);
    }
    results.works[name] = result;
    report(all[name].what, result);
  }
  if (!comparison.isOnlyExpected) process.exitCode = 1;
  while (servers.length > 0) await servers.pop().stop();

  for (const name of chosen.filter((each) => each in checks)) {
    const given = { start, works: all, rounds, seconds, requests, databaseUrl: database.url };
    results.checks[name] = await checks[name](given);
    say(`\n${name}: ${results.checks[name].line}`);
  }
} finally {
  for (const server of servers) await server.stop();
  await postgres.stop();
  redis.stop();
  await database.drop();
}

const committed = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {};
if (!profile) {
  say(`\n${results.machine}\n`);
  for (const { what, goal, measured, isMet } of goals(results)) {
    say(`${isMet ? '  met  ' : 'NOT met'}  ${what}: ${measured} (goal ${goal})`);
  }
}
if (quick && !options.write) judge(committed.quick);
if (options.write) {
  const { works: measured, checks: checked } = committed[mode] ?? {};
  committed[mode] = {
    machine: results.machine,
    works: { ...measured, ...results.works },
    checks: { ...checked, ...results.checks },
  };
  const formatting = { ...(await resolveConfig(RESULTS)), parser: 'json' };
  writeFileSync(RESULTS, await format(JSON.stringify(committed, null, 2), formatting));
  if (committed.full !== undefined) await intoDocument(committed.full);
}

/** Fails where Stoa has become slower against the reference than it was. */
function judge(before) {
  if (before === undefined) say(`\nThere is nothing in ${RESULTS} to hold this against`);
  for (const [name, { ratios }] of Object.entries(results.works)) {
    const was = before?.works[name]?.ratios.tuned?.rps;
    if (was === undefined || ratios.tuned === undefined || ratios.tuned.rps >= TOLERATED * was) continue;
    say(`\n${name}: ${ratios.tuned.rps} × the reference's rate, and it was ${was}`);
    process.exitCode = 1;
  }
}

function report(what, { servers: measured, ratios, halfLoad }) {
  say(`\n${what}`);
  for (const [name, { rps, p50, p99, cpu, cpuPostgres, cpuRedis }] of Object.entries(measured)) {
    const whole = (value, width) => value.toFixed(0).padStart(width);
    const against = ratios[name];
    say(
      `  ${name.padEnd(8)}${whole(rps, 6)}/s  p50 ${p50.toFixed(1).padStart(5)} ms  p99 ${p99.toFixed(1).padStart(6)} ms  ` +
        `CPU µs: server ${whole(cpu, 5)}  PostgreSQL ${whole(cpuPostgres, 5)}  Redis ${whole(cpuRedis, 3)}` +
        (against === undefined
          ? ''
          : `   Stoa: × ${against.rps} rate, × ${against.cpu} CPU, × ${against.cpuPostgres} PostgreSQL's`),
    );
  }
  if (halfLoad === undefined) return;
  const { rate, p99, ratio } = halfLoad;
  say(`  p99 at ${rate}/s: Stoa ${p99.stoa} ms, tuned ${p99.tuned} ms: × ${ratio}`);
}

async function machine() {
  const { rows } = await postgres.query(`SELECT current_setting('server_version') AS version`);
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${model}, ${memory} GiB, Node ${process.versions.node}, PostgreSQL ${rows[0].version}`;
}
