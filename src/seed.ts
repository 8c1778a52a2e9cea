import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { hash } from '@node-rs/argon2';
import { SingleBar, Presets } from 'cli-progress';
import type { QueryRunner } from 'typeorm';
import { ConfigError, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { migrate } from './database/migrate.js';
import { fillIn } from './development.js';
import { fail } from './fail.js';
import { auditLedger } from './modules/ledger/index.js';
import {
  definitions,
  FOREIGN_KEYS,
  type ForeignKey,
  guards,
  type Plan,
  SEEDS,
  type Stage,
  stages,
  TABLES,
} from './seeding/statements.js';
import { createLogger } from './telemetry/logger.js';

const USAGE = `Fills the database with users, products and orders that hang together, for trying and measuring.

  npm run seed -- [--users 1000] [--products 200] [--orders 5000] [--seed 1] [--until 2026-01-31]

It is all or nothing. What is there stays: each run adds to it, with the first --seed that is not in it yet. The same
arguments make the same rows. While it runs, a server on the same database waits. Orders are placed in the year before --until (default: today), paid, shipped and delivered,
with their history, events and entries in the books. Everybody's password is Password-1.`;

const PASSWORD = 'Password-1';
/** Each batch of payments looks through all accounts, so few large ones are quicker. */
const BATCH = 20_000;

async function main(): Promise<void> {
  const wanted = readArguments();
  if (wanted === undefined) return say(USAGE);
  const given = readConfig();
  if (given.inProduction) throw new ConfigError(['NODE_ENV is production: nothing is made up there']);
  const logger = createLogger(given.with({ logLevel: 'warn' }));
  const { config, embedded } = await fillIn(given, say);
  try {
    const dataSource = await connect(config, logger);
    try {
      await migrate(dataSource);
      const runner = dataSource.createQueryRunner();
      await seed(runner, wanted);
      await runner.release();
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await embedded?.stop();
  }
}

type Wanted = Omit<Plan, 'seed' | 'passwordHash'> & { seed: number | undefined };

/** `undefined` where it is asked how to ask. @throws ConfigError, with a line for each argument that is wrong */
function readArguments(): Wanted | undefined {
  const given = parse();
  if (given.help) return undefined;
  const faults: string[] = [];
  const count = (name: 'users' | 'products' | 'orders' | 'seed', least: number): number | undefined => {
    const value = given[name];
    if (value === undefined) return undefined;
    if (/^\d{1,8}$/.test(value) && Number(value) >= least) return Number(value);
    faults.push(`--${name} must be a number from ${least} to 99999999`);
    return undefined;
  };
  const day = given.until ?? new Date().toISOString().slice(0, 10);
  const until = new Date(day);
  if (!/^20\d\d-\d\d-\d\d$/.test(day) || Number.isNaN(until.getTime()) || !until.toISOString().startsWith(day))
    faults.push('--until must be a date of this century, as 2026-01-31');
  const wanted = {
    users: count('users', 0) ?? 1000,
    products: count('products', 0) ?? 200,
    orders: count('orders', 0) ?? 5000,
    seed: count('seed', 1),
    until,
  };
  if (wanted.orders > 0 && (wanted.users === 0 || wanted.products === 0))
    faults.push('--orders needs at least one of --users and of --products');
  if (faults.length > 0) throw new ConfigError(faults);
  return wanted;
}

function parse() {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      options: { users: text, products: text, orders: text, seed: text, until: text, help: { type: 'boolean' } },
    }).values;
  } catch (error) {
    throw new ConfigError([(error as Error).message.split('\n')[0] ?? '']);
  }
}

/** The one that is wanted, or the first that is not in the database yet. @throws ConfigError */
async function choose(runner: QueryRunner, wanted: number | undefined): Promise<number> {
  const rows = (await runner.query(SEEDS)) as { seed: number | null }[];
  const taken = new Set(rows.map(({ seed }) => seed));
  if (wanted !== undefined && taken.has(wanted))
    throw new ConfigError([`--seed ${wanted} is in this database already: take another, or none to have one chosen`]);
  let seed = wanted ?? 1;
  while (taken.has(seed)) seed++;
  return seed;
}

/** All of it or nothing: until the one transaction commits nobody sees any of it, and a crash leaves no trace. */
async function seed(runner: QueryRunner, wanted: Wanted): Promise<void> {
  const began = Date.now();
  const passwordHash = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
  await runner.query(`SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET work_mem = '64MB'`);
  const plan: Plan = { ...wanted, seed: await choose(runner, wanted.seed), passwordHash };
  for (const statement of definitions(plan)) await runner.query(statement);
  await runner.startTransaction();
  try {
    await runner.query(guards('DISABLE'));
    const keys = (await runner.query(FOREIGN_KEYS)) as ForeignKey[];
    for (const { table, name } of keys) await runner.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
    for (const stage of stages(plan)) await make(runner, stage);
    for (const { table, name, definition } of keys)
      await runner.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`);
    await checkBooks(runner);
    await runner.query(guards('ENABLE'));
    await runner.commitTransaction();
  } catch (error) {
    await runner.rollbackTransaction();
    throw error;
  }
  // So that the very next query is planned for what there is now.
  await runner.query(`VACUUM (ANALYZE) ${TABLES.join()}`);
  say(
    `${plan.users} users, ${plan.products} products and ${plan.orders} orders of seed ${plan.seed} in ${seconds(began)}`,
  );
}

/**
 * What `npm run ledger:verify` looks at.
 *
 * @throws Error with a line for each thing that is wrong in the books
 */
async function checkBooks(runner: QueryRunner): Promise<void> {
  const faults: string[] = [];
  await auditLedger(
    (sql, parameters) => runner.query(sql, [...parameters]),
    (fault) => faults.push(fault),
  );
  if (faults.length > 0) throw new Error(`The books would be wrong, so nothing is kept:\n${faults.join('\n')}`);
}

async function make(runner: QueryRunner, { name, rows, first = [], statement }: Stage): Promise<void> {
  if (rows === 0) return;
  const bar = new SingleBar(
    {
      format: '{name} {bar} {percentage} % | {value} of {total} | {rate}/s | {eta_formatted} left',
      noTTYOutput: false,
    },
    Presets.shades_classic,
  );
  const began = performance.now();
  bar.start(rows, 0, { name: name.padEnd(8), rate: 0 });
  try {
    for (const each of first) await runner.query(each);
    for (let from = 1; from <= rows; from += BATCH) {
      const to = Math.min(rows, from + BATCH - 1);
      await runner.query(statement, [from, to]);
      bar.update(to, { rate: Math.round((1000 * to) / (performance.now() - began)) });
      // Before that, PostgreSQL takes the tables for empty.
      if (from === 1) await runner.query(`ANALYZE ${TABLES.join()}`);
    }
  } finally {
    bar.stop();
  }
}

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch(fail);
