// How much money can be moved, by way of the ledger's own code: payments that all go to the one account of the shop,
// against transfers among 1,000 accounts, and without the check at commit: `npm run build && node bench/ledger.mjs`.
// DATABASE_URL names an empty database that may be filled; without it an embedded one is used, and thrown away.
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { IdempotencyKeys } from '../dist/src/database/idempotency.js';
import { CursorKeys, Pager } from '../dist/src/database/paging.js';
import { UnitOfWork } from '../dist/src/database/unit-of-work.js';
import { EventsRepository } from '../dist/src/modules/events/events.repository.js';
import { EventsService } from '../dist/src/modules/events/events.service.js';
import { AccountsRepository, TransfersRepository } from '../dist/src/modules/ledger/ledger.repository.js';
import { LedgerService } from '../dist/src/modules/ledger/ledger.service.js';
import { onScratchDatabase } from './scratch.mjs';

const ACCOUNTS = 1000;
const AT_ONCE = 10;
const MOVES = Number(process.env.MOVES ?? 2000);
const ROUNDS = Number(process.env.ROUNDS ?? 7);

await onScratchDatabase(async (dataSource) => {
  const unitOfWork = new UnitOfWork(dataSource);
  const cursorKeys = new CursorKeys([randomBytes(32)]);
  const pager = new Pager(cursorKeys);
  const keys = new IdempotencyKeys(dataSource, unitOfWork, cursorKeys);
  const events = new EventsService(new EventsRepository(unitOfWork, pager), unitOfWork);
  const transfers = new TransfersRepository(unitOfWork);
  const ledger = new LedgerService(new AccountsRepository(unitOfWork, pager), transfers, events, keys, unitOfWork);

  await dataSource.query(
    `INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
     SELECT gen_random_uuid(), n, n, n, 'user', 1, '', true, now(), now(), 1 FROM generate_series(1, $1::integer) AS n`,
    [ACCOUNTS],
  );
  const people = await dataSource.query('SELECT id FROM users');
  for (const person of people) {
    person.role = 'admin';
    const { id } = await ledger.open('EUR', person);
    person.accountId = id;
    await ledger.deposit({ accountId: id, amount: 1_000_000_000 }, person);
  }
  const anyone = () => people[Math.floor(Math.random() * people.length)];
  const pay = () => {
    const payer = anyone();
    return unitOfWork.run(() => ledger.pay({ accountId: payer.accountId, amount: 1, currency: 'EUR' }, payer));
  };
  const transfer = () => {
    const [from, to] = [anyone(), anyone()];
    if (from === to) return transfer();
    return ledger.transfer({ fromAccountId: from.accountId, toAccountId: to.accountId, amount: 1 }, from);
  };

  /** Seconds of CPU that this database has used, where its processes can be looked at. */
  const databaseCpu = async () => {
    const rows = await dataSource.query('SELECT pid FROM pg_stat_activity WHERE datname = current_database()');
    return rows.reduce((sum, { pid }) => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
        return sum + (Number(fields[11]) + Number(fields[12])) / 100;
      } catch {
        return sum;
      }
    }, 0);
  };
  const measure = async (move) => {
    const [cpu, began] = [await databaseCpu(), performance.now()];
    let left = MOVES;
    const work = async () => {
      while (left-- > 0) await move();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const took = (performance.now() - began) / 1000;
    return { rate: MOVES / took, cpu: (((await databaseCpu()) - cpu) / MOVES) * 1e6 };
  };
  const unchecked = async (move) => {
    await dataSource.query('ALTER TABLE transfers DISABLE TRIGGER transfers_even');
    const measured = await measure(move);
    await dataSource.query('ALTER TABLE transfers ENABLE TRIGGER transfers_even');
    return measured;
  };
  const kinds = {
    'transfers among 1,000': () => measure(transfer),
    'payments to one shop': () => measure(pay),
    'transfers, unchecked': () => unchecked(transfer),
    'payments, unchecked': () => unchecked(pay),
  };

  const median = (numbers) => [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
  const rounds = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const measured = {};
    for (const [kind, run] of Object.entries(kinds)) measured[kind] = await run();
    // The first one warms up; from then on plans are made for tables that are not empty.
    if (round === 0) await dataSource.query('ANALYZE accounts, transfers, ledger_entries, events');
    else rounds.push(measured);
  }
  const reference = Object.keys(kinds)[0];
  console.log(`medians of ${ROUNDS} rounds of ${MOVES}, ${AT_ONCE} at once; ratios to ${reference} within a round`);
  for (const kind of Object.keys(kinds)) {
    const of = (what) => median(rounds.map((round) => round[kind][what]));
    const ratio = (what) => median(rounds.map((round) => round[kind][what] / round[reference][what])).toFixed(2);
    console.log(
      `${kind.padEnd(22)} ${of('rate').toFixed(0).padStart(5)} a second (${ratio('rate')})` +
        `   ${of('cpu').toFixed(0).padStart(5)} µs of the database's CPU each (${ratio('cpu')})`,
    );
  }
});
