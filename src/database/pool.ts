import type { Socket } from 'node:net';
import pg from 'pg';
import { UnavailableError } from '../errors.js';
import { inThisTrace, traceQueries } from '../telemetry/tracing.js';
import { WaitingLine } from '../waiting-line.js';

type Connected = (error: Error | undefined, client?: pg.PoolClient, release?: (error?: Error) => void) => void;

/** Those who wait before the pool, to share a connection when it is their turn. */
export interface Line {
  /** For how many milliseconds the first of them has been waiting. */
  readonly longestWait: number;
  /** Fails those who have waited for so many milliseconds. */
  dismiss(milliseconds: number): void;
}

/** The pool of connections, which can be told that the database is away: then nobody waits for it any longer. */
export class Pool extends pg.Pool {
  private readonly waiting = new WaitingLine<{ since: number; tell: Connected }>();
  /** Also those that are still being made, which the pool itself tells nobody of. */
  private readonly clients: Set<pg.Client>;
  /** Those that somebody has, and, once they have been looked at, since when nothing has come over them. */
  private readonly busy = new Map<pg.PoolClient, { bytesRead: number; since: number } | undefined>();
  private isAway = false;
  /** Told how long each waited for a connection, in seconds. */
  onAcquire: (seconds: number) => void = () => undefined;
  readonly lines = new Set<Line>();
  /** How often somebody has got a connection. */
  served = 0;

  constructor(options: pg.PoolConfig) {
    const clients = new Set<pg.Client>();
    super({
      ...options,
      Client: class extends pg.Client {
        constructor(given?: pg.ClientConfig) {
          super(given);
          clients.add(this);
          // It may break just while nobody listens, on its way from one to the next: who asks it then is told.
          this.on('error', () => undefined);
          traceQueries(this);
          this.once('end', () => clients.delete(this));
        }
      },
    });
    this.clients = clients;
    this.on('acquire', (client) => {
      this.busy.set(client, undefined);
    });
    this.on('release', (_, client) => {
      this.busy.delete(client);
    });
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
    const since = performance.now();
    const leave = (): boolean => this.waiting.leave(place);
    const place = this.waiting.enter({
      since,
      tell: (...told) => {
        if (leave()) callback(...told);
      },
    });
    // Not in the trace of who had the client before.
    const hand = inThisTrace((error: Error | undefined, client?: pg.PoolClient, release?: () => void) => {
      // Whoever was told meanwhile that there is none is not told twice.
      if (!leave()) {
        release?.();
        return;
      }
      if (client !== undefined) {
        this.served++;
        this.onAcquire((performance.now() - since) / 1000);
      }
      callback(error, client, release);
    });
    super.connect((...given) => {
      // The pool calls this while it takes the client back from somebody else. They would get what is thrown here, and
      // where thousands wait no longer each would stand on the stack of the one before, until there is no more stack.
      queueMicrotask(() => {
        hand(...given);
      });
    });
    return undefined;
  }

  /** Fails everybody who waits for a connection or for an answer, and from now on whoever comes. */
  giveUp(): void {
    this.isAway = true;
    for (const { tell } of [...this.waiting]) tell(away());
    for (const client of this.clients) streamOf(client).destroy();
  }

  /** Cuts the connections that somebody has and over which nothing has come for so many milliseconds. */
  cutSilent(milliseconds: number): void {
    for (const [client, last] of this.busy) {
      const { bytesRead } = streamOf(client);
      if (bytesRead !== last?.bytesRead) this.busy.set(client, { bytesRead, since: performance.now() });
      else if (performance.now() - last.since > milliseconds) streamOf(client).destroy();
    }
  }

  resume(): void {
    this.isAway = false;
  }

  /** How many wait for a connection. The pool's own count has those in it who were told that there is none. */
  get queued(): number {
    return this.waiting.size;
  }

  /** Fails those who have waited for so many milliseconds. */
  dismiss(milliseconds: number): void {
    for (const line of this.lines) line.dismiss(milliseconds);
    const before = performance.now() - milliseconds;
    for (const { tell, since } of this.waiting) {
      if (since > before) return;
      tell(new UnavailableError(OVERLOADED));
    }
  }

  /** For how many milliseconds somebody has been waiting for a connection already, also of those before the pool. */
  get longestWait(): number {
    const { first } = this.waiting;
    const own = first === undefined ? 0 : performance.now() - first.since;
    return Math.max(own, ...[...this.lines].map((line) => line.longestWait));
  }
}

const streamOf = (client: pg.ClientBase): Socket => (client as pg.Client).connection.stream as Socket;

/** What those are told who can not be served. */
export const OVERLOADED = 'More comes than can be answered, try again';

const away = (): UnavailableError => new UnavailableError('The database is away, try again');
