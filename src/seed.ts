import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { hash } from '@node-rs/argon2';
import { SingleBar, Presets } from 'cli-progress';
import type { QueryRunner } from 'typeorm';
import { ConfigError, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { migrate } from './database/migrate.js';
import { fillIn } from './development.js';
import { auditLedger } from './modules/ledger/index.js';
import { definitions, type Plan, type Stage, stages } from './seeding/statements.js';
import { createLogger } from './telemetry/logger.js';

const USAGE = `Fills the database with users, products and orders that hang together, for trying and measuring.

  npm run seed -- [--users 1000] [--products 200] [--orders 5000] [--seed 1] [--until 2026-01-31]

The same arguments make the same rows. What is there stays; another --seed adds to it. Orders are placed in the year
before --until (default: today). Everybody's password is Password-1; events and jobs are not made.`;

const PASSWORD = 'Password-1';

async function main(): Promise<void> {
  const given = readConfig();
  if (given.inProduction) throw new ConfigError(['NODE_ENV is production: nothing is made up there']);
  const plan = readPlan(await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }));
  if (plan === undefined) return say(USAGE);
  const logger = createLogger(given.with({ logLevel: 'warn' }));
  const { config, embedded } = await fillIn(given, say);
  try {
    const dataSource = await connect(config, logger);
    try {
      await migrate(dataSource);
      const runner = dataSource.createQueryRunner();
      await seed(runner, plan);
      await runner.release();
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await embedded?.stop();
  }
}

/** @throws ConfigError, with a line for each argument that is wrong */
function readPlan(passwordHash: string): Plan | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { users: text, products: text, orders: text, seed: text, until: text, help: { type: 'boolean' } },
  });
  if (values.help) return undefined;
  const faults: string[] = [];
  const count = (name: 'users' | 'products' | 'orders' | 'seed', fallback: number): number => {
    const value = values[name];
    if (value !== undefined && !/^\d{1,8}$/.test(value)) faults.push(`--${name} must be a number up to 99999999`);
    return value === undefined ? fallback : Number(value);
  };
  const today = new Date(new Date().toISOString().slice(0, 10));
  const until = values.until === undefined ? today : new Date(values.until);
  if (Number.isNaN(until.getTime())) faults.push('--until must be an ISO 8601 date');
  const plan = {
    users: count('users', 1000),
    products: count('products', 200),
    orders: count('orders', 5000),
    seed: count('seed', 1),
    until,
    passwordHash,
  };
  if (plan.orders > 0 && (plan.users === 0 || plan.products === 0))
    faults.push('--orders needs at least one of --users and of --products');
  if (faults.length > 0) throw new ConfigError(faults);
  return plan;
}

async function seed(runner: QueryRunner, plan: Plan): Promise<void> {
  const began = Date.now();
  await runner.query('SET statement_timeout = 0; SET synchronous_commit = off; SET jit = off');
  for (const statement of definitions(plan)) await runner.query(statement);
  for (const stage of stages(plan)) await make(runner, stage);
  // So that the very next query is planned for what there is now.
  await runner.query('VACUUM (ANALYZE)');
  await checkBooks(runner);
  say(`${plan.users} users, ${plan.products} products and ${plan.orders} orders in ${seconds(began)}`);
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
  if (faults.length > 0) throw new Error(`The books are wrong:\n${faults.join('\n')}`);
}

/** A transaction for each batch: what was made before one fails is whole. */
async function make(runner: QueryRunner, { name, rows, batch, tables, statements }: Stage): Promise<void> {
  if (rows === 0) return;
  const bar = new SingleBar(
    { format: '{name} {bar} {percentage} % | {value} of {total} | {eta_formatted} left', noTTYOutput: false },
    Presets.shades_classic,
  );
  bar.start(rows, 0, { name: name.padEnd(8) });
  try {
    // In small steps first: until there are statistics, each check of a constraint reads the whole new table.
    let step = Math.min(100, batch);
    for (let from = 1; from <= rows; from += step, step = Math.min(2 * step, batch)) {
      const to = Math.min(rows, from + step - 1);
      await runner.startTransaction();
      try {
        for (const statement of statements) {
          await runner.query(statement, statement.includes('$1') ? [from, to] : []);
        }
        await runner.commitTransaction();
      } catch (error) {
        await runner.rollbackTransaction();
        throw error;
      }
      bar.update(to);
      if (step < batch) await runner.query(`ANALYZE ${tables.join()}`);
    }
  } finally {
    bar.stop();
  }
}

const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`);
  process.exit(1);
});
