import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded-postgres.js';
import { type App, startApp } from '../app.js';
import { OrderLoad } from './order-load.js';

const STOPS = process.env.RACES === 'full' ? 5 : 2;
const STOCK = 1_000_000;

/** Where the database always is, wherever it listens after a restart. */
class Address {
  private port = 0;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server = createServer((client) => {
    const database = connect(this.port, '127.0.0.1');
    for (const [socket, other] of [
      [client, database],
      [database, client],
    ] as const) {
      this.sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          this.sockets.delete(socket);
          other.destroy();
        });
      socket.pipe(other);
    }
  });

  /** The URL that goes on being good. */
  async open(url: string): Promise<string> {
    await new Promise<void>((listening) => this.server.listen(0, '127.0.0.1', listening));
    this.leadTo(url);
    const fixed = new URL(url);
    fixed.port = String((this.server.address() as AddressInfo).port);
    return fixed.href;
  }

  leadTo(url: string): void {
    this.port = Number(new URL(url).port);
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

describe('a database that is stopped immediately under load', () => {
  let dataDir: string;
  let postgres: EmbeddedPostgres;
  let app: App | undefined;
  const address = new Address();
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'stoa-outage-'));
    postgres = await startEmbeddedPostgres({ dataDir });
    app = await startApp({ DATABASE_URL: await address.open(postgres.url) });
  });
  afterAll(async () => {
    await app?.stop();
    address.close();
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** What `pg_ctl stop -m immediate` does: every process of it ends at once, and nothing is written any more. */
  const stopImmediately = async () => {
    const pid = Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(pid, 'SIGQUIT');
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) {
      try {
        process.kill(pid, 0);
      } catch {
        return;
      }
    }
    throw new Error('PostgreSQL is still there');
  };

  it('has every order that was acknowledged, once and whole, and is found again', async () => {
    const running = app!;
    const buyers = await Promise.all(
      ['Ann', 'Bob', 'Cleo', 'Dan'].map(async (name) => {
        const user = await running.register(name);
        return { user, accountId: await running.funded(user, 1_000_000_000) };
      }),
    );
    const products = [await running.product({ stock: STOCK }), await running.product({ stock: STOCK })];
    const load = new OrderLoad(
      running,
      buyers,
      products.map(({ id }) => id),
    );
    load.start();
    try {
      for (let stop = 0; stop < STOPS; stop++) {
        await load.more(10);
        await sleep(Math.random() * 100);
        await stopImmediately();
        await sleep(200);
        postgres = await startEmbeddedPostgres({ dataDir });
        address.leadTo(postgres.url);
      }
      await load.more(10);
    } finally {
      await load.stop();
    }
    // Whoever asked meanwhile was told to come again, and nobody that the server had broken.
    expect([...load.failures.keys()]).toEqual(['503 SERVICE_UNAVAILABLE']);
    await load.check(STOCK);
  });
});
