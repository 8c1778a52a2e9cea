// How long a search takes PostgreSQL among 100,000 products, by way of the repository's own code.
// DATABASE_URL names an empty database that may be filled; without it an embedded one is used, and thrown away.
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { CursorKeys, Pager } from '../dist/src/database/paging.js';
import { UnitOfWork } from '../dist/src/database/unit-of-work.js';
import { ProductListsRepository } from '../dist/src/modules/catalogue/product-lists.repository.js';
import { definitions, stages } from '../dist/src/seeding/statements.js';
import { onScratchDatabase } from './scratch.mjs';

const PRODUCTS = Number(process.env.PRODUCTS ?? 100_000);
const RUNS = Number(process.env.RUNS ?? 200);

await onScratchDatabase(async (dataSource) => {
  const runner = dataSource.createQueryRunner();
  const plan = { users: 0, products: PRODUCTS, orders: 0, seed: 1, until: new Date('2026-01-01'), passwordHash: '' };
  await runner.query('SET statement_timeout = 0; SET synchronous_commit = off; SET jit = off');
  for (const statement of definitions(plan)) await runner.query(statement);
  const { statement } = stages(plan).find(({ name }) => name === 'products');
  for (let from = 1; from <= PRODUCTS; from += 1000) {
    await runner.query(statement, [from, Math.min(PRODUCTS, from + 999)]);
  }
  await runner.query('VACUUM (ANALYZE)');

  const products = new ProductListsRepository(new UnitOfWork(dataSource), new Pager(new CursorKeys([randomBytes(32)])));
  const search = (filters, request = {}) => products.findPage({ status: 'active', ...filters }, request, null);
  const [{ brand }] = await runner.query(`SELECT lower(split_part(name, ' ', 4)) AS brand FROM products LIMIT 1`);
  await runner.release();
  const first = await search({ q: 'desk' }, { limit: 100 });
  for (const [what, run] of [
    [`a rare word (${brand})`, () => search({ q: brand })],
    ['two words (oak desk)', () => search({ q: 'oak desk' })],
    ['a typo (chiar)', () => search({ q: 'chiar' })],
    ['two typos (ergonomik chiar)', () => search({ q: 'ergonomik chiar' })],
    ['a common word (desk)', () => search({ q: 'desk' })],
    ['a typo of it (deks)', () => search({ q: 'deks' })],
    ['a word of descriptions alone (kitchen)', () => search({ q: 'kitchen' })],
    ['a common word, worst first', () => search({ q: 'desk' }, { sortOrder: 'asc' })],
    ['a common word, few of them for sale', () => search({ q: 'desk', status: 'archived' })],
    ['a common word, page 1 with its total', () => search({ q: 'desk' }, { page: 1 })],
    ['a word of every product (measures)', () => search({ q: 'measures' })],
    ['its second page', () => search({ q: 'desk' }, { limit: 100, cursor: first.pagination.nextCursor })],
    ['a common word by price', () => search({ q: 'desk' }, { sortBy: 'price' })],
    ['a sku (S1-CHA-000007)', () => search({ q: 'S1-CHA-000007' })],
  ]) {
    const times = [];
    for (let n = 0; n < RUNS + 10; n++) {
      const began = performance.now();
      await run();
      if (n >= 10) times.push(performance.now() - began);
    }
    times.sort((one, other) => one - other);
    const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(1).padStart(7);
    console.log(`${what.padEnd(38)} median ${at(0.5)} ms   p99 ${at(0.99)} ms`);
  }
});
