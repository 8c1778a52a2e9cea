import pg from 'pg';
import { DataSource } from 'typeorm';
import { Pool } from '../src/database/pool.js';
import { UnitOfWork } from '../src/database/unit-of-work.js';
import { dropDatabase, emptyDatabase } from './app.js';
import { PostgresProxy } from './postgres-proxy.js';
import { until } from './until.js';

describe('a unit of work', () => {
  let database: string;
  let proxy: PostgresProxy;
  let dataSource: DataSource;
  let unitOfWork: UnitOfWork;
  let other: pg.Client;
  beforeAll(async () => {
    database = await emptyDatabase();
    proxy = await PostgresProxy.start(database);
    const extra = { pipeline: true };
    dataSource = new DataSource({ type: 'postgres', driver: { ...pg, Pool }, url: proxy.gate.url, extra });
    await dataSource.initialize();
    unitOfWork = new UnitOfWork(dataSource);
    other = new pg.Client({ connectionString: database });
    await other.connect();
    await other.query('CREATE TABLE notes (id integer CONSTRAINT notes_pkey PRIMARY KEY)');
  });
  beforeEach(() => other.query('TRUNCATE notes'));
  afterAll(async () => {
    await other?.end();
    await dataSource?.destroy();
    await proxy?.gate.close();
    await dropDatabase(database);
  });

  const same = (error: unknown): unknown => error;
  const write = (id: number, translate = same): Promise<void> =>
    unitOfWork.send({ name: 'write', text: 'INSERT INTO notes VALUES ($1)', values: [id] }, translate);
  const written = async (): Promise<number[]> =>
    (await other.query<{ id: number }>('SELECT id FROM notes ORDER BY id')).rows.map(({ id }) => id);
  const sent = (): string[] => proxy.statements.map(({ sql }) => sql.split(' ', 1)[0]!);

  it('sends what needs no answer, and its commit, before anything has been answered', async () => {
    await other.query('BEGIN');
    await other.query('LOCK TABLE notes');
    const before = sent().length;
    const done = unitOfWork.run(async () => {
      for (const id of [1, 2, 3]) await write(id);
    });
    // All of them wait for the first, which waits for the lock.
    await until(() => sent().length === before + 5);
    expect(sent().slice(before)).toEqual(['START', 'INSERT', 'INSERT', 'INSERT', 'COMMIT']);
    await other.query('COMMIT');
    await done;
    expect(await written()).toEqual([1, 2, 3]);
  });

  it('writes nothing before what it begins with has been answered', async () => {
    await other.query('BEGIN');
    await other.query('LOCK TABLE notes');
    const before = sent().length;
    const done = unitOfWork.run(
      () => write(1),
      (query) => query({ text: 'LOCK TABLE notes IN SHARE MODE' }),
    );
    await until(() => sent().length === before + 2);
    await other.query('SELECT 1');
    expect(sent().slice(before)).toEqual(['START', 'LOCK']);
    await other.query('COMMIT');
    await done;
    expect(sent().slice(before)).toEqual(['START', 'LOCK', 'INSERT', 'COMMIT']);
  });

  it('fails by what failed first, whoever asks next, and leaves nothing', async () => {
    await other.query('INSERT INTO notes VALUES (2)');
    const taken = (): Error => new Error('There is such a note');
    const doing = async (): Promise<void> => {
      await write(1);
      await write(2, taken);
      await write(3);
    };
    const ways: Record<string, () => Promise<unknown>> = {
      'the commit': doing,
      'a question': () => doing().then(() => unitOfWork.query({ text: 'SELECT 1' })),
      'the ORM': () => doing().then(async () => (await unitOfWork.manager()).query('SELECT 1')),
      'who waits': () => doing().then(() => unitOfWork.settled()),
    };
    for (const [way, work] of Object.entries(ways)) {
      let isFollowed = false;
      const run = unitOfWork.run(async () => {
        unitOfWork.afterCommit(() => (isFollowed = true));
        await work();
      });
      expect([way, await run.catch((error: unknown) => (error as Error).message)]).toEqual([
        way,
        'There is such a note',
      ]);
      expect([way, isFollowed, await written()]).toEqual([way, false, [2]]);
    }
    // The connection is as good as before.
    await unitOfWork.run(() => write(4));
    expect(await written()).toEqual([2, 4]);
  });

  it('leaves nothing where its connection breaks while statements are under way', async () => {
    await other.query('BEGIN');
    await other.query('LOCK TABLE notes');
    const before = sent().length;
    const run = unitOfWork.run(async () => {
      for (const id of [1, 2]) await write(id);
    });
    const outcome = run.then(
      () => 'done',
      () => 'failed',
    );
    await until(() => sent().length === before + 4);
    await other.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()`);
    expect(await outcome).toBe('failed');
    await other.query('COMMIT');
    expect(await written()).toEqual([]);
    await unitOfWork.run(() => write(3));
    expect(await written()).toEqual([3]);
  });

  it('waits for what is sent outside of one', async () => {
    await write(1);
    expect(await written()).toEqual([1]);
    await expect(write(1, () => new Error('There is such a note'))).rejects.toThrow('There is such a note');
  });
});
