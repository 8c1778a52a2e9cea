import { type Answer, type App, dataOf, failureOf, startApp, type UserClient } from '../app.js';

// The full counts take their time.
if (process.env.RACES === 'full') jest.setTimeout(1_800_000);
else jest.setTimeout(120_000);

/** How often to try: a little every time, a lot where `RACES=full` is set. */
export const times = (usual: number, full: number): number => (process.env.RACES === 'full' ? full : usual);

/** Two processes of the server on one database, as replicas are. */
export class TwoServers {
  private constructor(
    readonly one: App,
    readonly other: App,
  ) {}

  static async start(env: Readonly<Record<string, string>> = {}): Promise<TwoServers> {
    const one = await startApp(env);
    try {
      return new TwoServers(one, await startApp({ ...env, DATABASE_URL: one.databaseUrl }));
    } catch (error) {
      await one.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.other.stop();
    await this.one.stop();
  }

  /** The same person, in turn on the one server and on the other. */
  as(user: UserClient, turn: number) {
    return (turn % 2 === 0 ? this.one : this.other).as(user.token!);
  }

  users(count: number): Promise<UserClient[]> {
    return Promise.all(Array.from({ length: count }, (_, n) => this.one.register(`Buyer ${n}`)));
  }

  async stockOf(productId: string): Promise<number> {
    return dataOf(await (await this.one.admin()).get(`/products/${productId}`)).stock;
  }

  async balanceOf(accountId: string): Promise<number> {
    return dataOf(await (await this.one.admin()).get(`/accounts/${accountId}`)).balance;
  }

  /** Fails where PostgreSQL had to break a circle, also where a retry hid it. */
  async checkDeadlocks(): Promise<void> {
    const [row] = await this.one.sql('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()');
    expect(row).toEqual({ deadlocks: 0 });
  }

  /** Fails where money was made or lost. */
  async checkBooks(): Promise<void> {
    for (const row of dataOf(await (await this.one.admin()).get('/ledger/trial-balance'))) {
      expect(row).toMatchObject({ balanceTotal: 0, entriesTotal: 0 });
    }
    const wrong = `SELECT id FROM accounts a WHERE kind = 'user' AND balance < 0
       OR balance <> (SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE account_id = a.id)`;
    expect(await this.one.sql(wrong)).toEqual([]);
  }
}

/** How many answers of each kind there are: `{ '201': 3, '409 INSUFFICIENT_STOCK': 1 }`. */
export function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) {
    const kind = answer.status < 400 ? String(answer.status) : failureOf(answer);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
