import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export type Row = Record<string, unknown>;

/** One statement on a connection of its own. */
export async function query(url: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** A transaction of somebody else's that is open. */
export class Holder {
  private constructor(
    private readonly client: pg.Client,
    private readonly pid: number,
  ) {}

  static async of(url: string, sql: string, values: unknown[]): Promise<Holder> {
    const client = new pg.Client(url);
    client.on('error', () => undefined);
    await client.connect();
    await client.query('BEGIN');
    await client.query(sql, values);
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return new Holder(client, rows[0]!.pid);
  }

  /** Resolves when so many others wait for what it has locked. */
  async somebodyWaits(count = 1): Promise<void> {
    const sql = 'SELECT count(*)::int AS count FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))';
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(20)) {
      const { rows } = await this.client.query<{ count: number }>(sql, [this.pid]);
      // In a transaction the statistics stay as they were at first sight.
      await this.client.query('SELECT pg_stat_clear_snapshot()');
      if (rows[0]!.count >= count) return;
    }
    throw new Error('Nobody waits');
  }

  async letGo(): Promise<void> {
    await this.end('ROLLBACK');
  }

  async commit(): Promise<void> {
    await this.end('COMMIT');
  }

  private async end(sql: string): Promise<void> {
    await this.client.query(sql);
    await this.client.end();
  }
}

export function withDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}
