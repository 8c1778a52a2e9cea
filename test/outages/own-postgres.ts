import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded-postgres.js';
import { Gate } from '../gate.js';

/** A PostgreSQL that a test may stop, at an address that stays the same wherever it listens after a restart. */
export class OwnPostgres {
  private constructor(
    private readonly dataDir: string,
    private postgres: EmbeddedPostgres,
    private readonly gate: Gate,
  ) {}

  static async start(): Promise<OwnPostgres> {
    const dataDir = await mkdtemp(join(tmpdir(), 'stoa-outage-'));
    const postgres = await startEmbeddedPostgres({ dataDir });
    return new OwnPostgres(dataDir, postgres, await Gate.to(postgres.url));
  }

  get url(): string {
    return this.gate.url;
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
    this.gate.target = this.postgres.url;
  }

  private get postmaster(): number {
    return Number(readFileSync(join(this.dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
  }

  async remove(): Promise<void> {
    await this.gate.close();
    await this.postgres.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
