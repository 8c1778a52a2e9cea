import pg from 'pg';
import { UnavailableError } from '../errors.js';

type Connected = (error: Error | undefined, client?: pg.PoolClient, release?: (error?: Error) => void) => void;

/** A request that comes while somebody has waited for a connection for so long is better refused. */
const LONGEST_WAIT_MS = 8_000;

/** The pool of connections, which can be told that the database is away: then nobody waits for it any longer. */
export class Pool extends pg.Pool {
  /** Since when each waits; who came first is first. */
  private readonly waiting = new Map<Connected, number>();
  /** Also those that are still being made, which the pool itself tells nobody of. */
  private readonly clients: Set<pg.Client>;
  private isAway = false;

  constructor(options: pg.PoolConfig) {
    const clients = new Set<pg.Client>();
    super({
      ...options,
      Client: class extends pg.Client {
        constructor(given?: pg.ClientConfig) {
          super(given);
          clients.add(this);
          this.once('end', () => clients.delete(this));
        }
      },
    });
    this.clients = clients;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    if (callback === undefined) {
      return new Promise((resolve, reject) => {
        this.connect((error, client) => {
          if (client === undefined) reject(error ?? away());
          else resolve(client);
        });
      });
    }
    if (this.isAway) {
      callback(away());
      return undefined;
    }
    this.waiting.set(callback, performance.now());
    super.connect((error, client, release) => {
      // Whoever was told meanwhile that there is none is not told twice.
      if (this.waiting.delete(callback)) callback(error, client, release);
      else if (client !== undefined) release();
    });
    return undefined;
  }

  /** Fails everybody who waits for a connection or for an answer, and from now on whoever comes. */
  giveUp(): void {
    this.isAway = true;
    const waiting = [...this.waiting.keys()];
    this.waiting.clear();
    for (const tell of waiting) tell(away());
    for (const client of this.clients) client.connection.stream.destroy();
  }

  resume(): void {
    this.isAway = false;
  }

  /** More comes than is worked off: to refuse the latest at once keeps the wait of the others bounded. */
  get isOverrun(): boolean {
    for (const since of this.waiting.values()) return performance.now() - since > LONGEST_WAIT_MS;
    return false;
  }
}

const away = (): UnavailableError => new UnavailableError('The database is away, try again');
