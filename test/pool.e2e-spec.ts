import pg from 'pg';
import { DataSource } from 'typeorm';
import { poolOf } from '../src/database/data-source.js';
import { GroupCommit } from '../src/database/group-commit.js';
import { Pool } from '../src/database/pool.js';
import { UnitOfWork } from '../src/database/unit-of-work.js';
import { dropDatabase, emptyDatabase } from './app.js';
import { until } from './until.js';

describe('the pool of connections', () => {
  let database: string;
  let pool: Pool;
  beforeAll(async () => {
    database = await emptyDatabase();
  });
  beforeEach(() => {
    pool = new Pool({ connectionString: database, max: 1, connectionTimeoutMillis: 30_000 });
  });
  afterEach(() => pool.end());
  afterAll(() => dropDatabase(database));

  it('is as good as before after thousands have been told that it takes too long', async () => {
    const client = await pool.connect();
    const waiting = Array.from({ length: 20_000 }, () => pool.connect());
    const told = Promise.allSettled(waiting);
    const last = pool.query('SELECT 1 AS one');
    pool.dismiss(-1);
    expect(new Set((await told).map(({ status }) => status))).toEqual(new Set(['rejected']));
    await expect(last).rejects.toThrow('More comes than can be answered');

    const next = pool.query('SELECT 2 AS two');
    expect(() => client.release()).not.toThrow();
    expect((await next).rows).toEqual([{ two: 2 }]);
    expect([pool.totalCount, pool.idleCount, pool.waitingCount, pool.queued, pool.served]).toEqual([1, 1, 0, 0, 2]);
  });

  it('survives a connection that breaks on its way from one to the next', async () => {
    const client = await pool.connect();
    const next = pool.query('SELECT 1 AS one');
    client.release();
    // As where PostgreSQL's last words come in one packet with the end of a query.
    expect(() => client.emit('error', new Error('terminating connection'))).not.toThrow();
    expect((await next).rows).toEqual([{ one: 1 }]);
  });

  it('gives a group up as a whole, where each of it alone would take what the others need', async () => {
    const dataSource = new DataSource({ type: 'postgres', driver: { ...pg, Pool }, url: database, poolSize: 1 });
    await dataSource.initialize();
    try {
      const only = poolOf(dataSource);
      const unitOfWork = new UnitOfWork(dataSource);
      const groups: number[][] = [];
      const group = new GroupCommit<number, number>(unitOfWork, async (wishes) => {
        await unitOfWork.query({ text: 'SELECT 1' });
        groups.push([...wishes]);
        return [...wishes];
      });
      const client = await only.connect();
      const told = Promise.allSettled([1, 2, 3].map((wish) => group.of(wish)));
      await until(() => only.queued === 1);
      only.dismiss(-1);
      for (const each of await told)
        expect(each).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('More comes') } });
      client.release();
      expect(await group.of(4)).toBe(4);
      expect(groups).toEqual([[4]]);
    } finally {
      await dataSource.destroy();
    }
  });
});
