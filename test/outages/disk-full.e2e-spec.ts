import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type App, dataOf, failureOf, startApp, type UserClient } from '../app.js';
import { query } from '../sql.js';
import { stopwatch } from '../stopwatch.js';

jest.setTimeout(120_000);

const SERVER = process.env.TEST_SERVER_URL!;

/** A disk of PostgreSQL's that can be full. */
interface Disk {
  fill(): Promise<void>;
  clear(): Promise<void>;
  remove(): Promise<void>;
}

/** Puts the database on a small file system of its own; `undefined` where this machine does not let us have one. */
async function smallDisk(app: App): Promise<Disk | undefined> {
  const [row] = await query(SERVER, 'SHOW data_directory');
  const owner = statSync(String(row!.data_directory), { throwIfNoEntry: false });
  if (owner === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'stoa-disk-'));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'none', folder]).status !== 0) {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  chownSync(folder, owner.uid, owner.gid);
  const space = `stoa_small_${process.pid}`;
  const database = new URL(app.databaseUrl).pathname.slice(1);
  await query(SERVER, `CREATE TABLESPACE ${space} LOCATION '${folder}'`);
  await app.kill();
  await query(SERVER, `ALTER DATABASE ${database} SET TABLESPACE ${space}`);
  await app.start();
  const ballast = join(folder, 'ballast');
  return {
    fill: () => {
      // Until there is no room for one page more.
      spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4k']);
      return Promise.resolve();
    },
    clear: () => {
      writeFileSync(ballast, '');
      return Promise.resolve();
    },
    remove: async () => {
      await query(SERVER, `DROP TABLESPACE ${space}`);
      spawnSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Says what a full disk says, where no disk can be filled. */
const saysThatItIsFull = (app: App): Disk => ({
  fill: async () => {
    await app.sql(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`);
    await app.sql('CREATE TRIGGER full_disk BEFORE INSERT ON orders EXECUTE FUNCTION full_disk()');
  },
  clear: async () => {
    await app.sql('DROP FUNCTION full_disk CASCADE');
  },
  remove: () => Promise.resolve(),
});

describe('a database whose disk is full', () => {
  let app: App;
  let disk: Disk | undefined;
  let user: UserClient;
  let items: unknown[];
  beforeAll(async () => {
    app = await startApp();
    disk = (await smallDisk(app)) ?? saysThatItIsFull(app);
    user = await app.register();
    items = [{ productId: (await app.product({ stock: 1_000_000 })).id, quantity: 1 }];
  });
  afterAll(async () => {
    await app?.stop();
    await disk?.remove();
  });

  const order = () => user.post('/orders', { items, note: 'x'.repeat(1000) });

  it('takes no orders, with 503; shows what there is; and takes them again when there is room', async () => {
    dataOf(await order(), 201);
    await disk!.fill();
    let refused: Answer | undefined;
    // In the pages that it has there is some room left.
    for (let n = 0; n < 500 && refused === undefined; n++) {
      const answer = await order();
      if (answer.status !== 201) refused = answer;
    }
    expect(failureOf(refused!)).toBe('503 SERVICE_UNAVAILABLE');
    expect(Number(refused!.headers.get('retry-after'))).toBeGreaterThan(0);
    dataOf(await user.get('/orders'));
    expect((await app.anonymous.get('/health/live')).status).toBe(200);

    await disk!.clear();
    const took = stopwatch();
    let answer = await order();
    for (; answer.status === 503 && took() < 5000; answer = await order()) await sleep(50);
    dataOf(answer, 201);
    const [{ count }] = (await app.sql(
      `SELECT count(*)::int AS count FROM orders WHERE NOT EXISTS (SELECT FROM order_items WHERE order_id = orders.id)`,
    )) as [{ count: number }];
    expect(count).toBe(0);
  });
});
