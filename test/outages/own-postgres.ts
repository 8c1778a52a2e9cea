import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded-postgres.js';

/** A PostgreSQL that a test may stop, at an address that stays the same wherever it listens after a restart. */
export class OwnPostgres {
  private port = 0;
  private readonly sockets = new Set<Socket>();
  private readonly address: Server = createServer((client) => {
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

  private constructor(
    private readonly dataDir: string,
    private postgres: EmbeddedPostgres,
  ) {}

  static async start(): Promise<OwnPostgres> {
    const dataDir = await mkdtemp(join(tmpdir(), 'stoa-outage-'));
    const own = new OwnPostgres(dataDir, await startEmbeddedPostgres({ dataDir }));
    await new Promise<void>((listening) => own.address.listen(0, '127.0.0.1', listening));
    own.port = Number(new URL(own.postgres.url).port);
    return own;
  }

  get url(): string {
    const fixed = new URL(this.postgres.url);
    fixed.port = String((this.address.address() as AddressInfo).port);
    return fixed.href;
  }

  /** What `pg_ctl stop -m immediate` does: every process of it ends at once, and nothing is written any more. */
  async stopImmediately(): Promise<void> {
    const pid = this.postmaster;
    process.kill(pid, 'SIGQUIT');
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) {
      try {
        process.kill(pid, 0);
      } catch {
        return;
      }
    }
    throw new Error('PostgreSQL is still there');
  }

  /** Stops all of its processes where they are, or lets them go on. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.postmaster;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    for (const each of [pid, ...children.map(Number)]) process.kill(each, signal);
  }

  async startAgain(): Promise<void> {
    this.postgres = await startEmbeddedPostgres({ dataDir: this.dataDir });
    this.port = Number(new URL(this.postgres.url).port);
  }

  private get postmaster(): number {
    return Number(readFileSync(join(this.dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
  }

  async remove(): Promise<void> {
    this.address.close();
    for (const socket of this.sockets) socket.destroy();
    await this.postgres.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
