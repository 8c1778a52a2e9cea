import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import type { Logger } from 'pino';
import { Config } from '../config.js';
import { KEEPALIVE } from '../database/keepalive.js';
import { type Query, UnitOfWork } from '../database/unit-of-work.js';
import { Log } from '../telemetry/logger.js';

const CHANNEL = 'stoa_signals';
/** PostgreSQL takes less than 8,000 bytes, the topic included. */
const LONGEST_PAYLOAD = 7_500;

/**
 * A connection can die without a word: packets that a firewall drops look like silence. So it is asked every so often,
 * and is in doubt once an answer is late. Together with one look at the table that is under the 300 ms within which
 * a revocation must bite, for 7 of the cheapest statements a second. In doubt costs little, so a slow moment may cause it.
 */
const BEAT_MS = 130;
const LATE_MS = 80;
/** Silent for so long, it is given up and made anew. */
const DEAD_MS = 3_000;
/** A connection that nobody listens to any more is not worth waiting for at the end. */
const FAREWELL_MS = 200;
const FIRST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2_000;

type Handler = (payload: string) => void;
/** Reads what may have been missed. */
type Reader = (query: Query) => Promise<void>;

/**
 * What one replica must tell the others at once, by PostgreSQL's NOTIFY. A signal is a hint: it reaches every process
 * that is listening when the transaction commits, and is lost on any that is not. So whoever subscribes also says what to
 * read once it listens (`onListening`), and what to do while signals may be late or lost (`onDoubt`), until `isSound` again.
 */
@Injectable()
export class Signals implements OnApplicationShutdown {
  private readonly handlers = new Map<string, Handler[]>();
  private readonly readers: Reader[] = [];
  private readonly doubtHandlers: (() => void)[] = [];
  private started: Promise<void> | undefined;
  private client: pg.Client | undefined;
  private sound = false;
  private stopped = false;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
    @Log() private readonly logger: Logger,
  ) {}

  /** Whether signals are certain to arrive. */
  get isSound(): boolean {
    return this.sound;
  }

  /** Resolves once it listens, or has found that it can not yet. */
  start(): Promise<void> {
    this.started ??= this.listen();
    return this.started;
  }

  /** Tells every replica, this one included, when the running unit of work commits; at once outside of one. */
  async publish(topic: string, payload = ''): Promise<void> {
    if (Buffer.byteLength(payload) > LONGEST_PAYLOAD) throw new Error(`A signal is a hint, not a message: ${topic}`);
    await (await this.unitOfWork.manager()).query('SELECT pg_notify($1, $2)', [CHANNEL, `${topic} ${payload}`]);
  }

  subscribe(topic: string, handler: Handler): void {
    this.handlers.set(topic, [...(this.handlers.get(topic) ?? []), handler]);
  }

  /**
   * Each time it has begun to listen, and before signals count as certain: what was said before is lost. Over the connection
   * that listens, whoever holds those of the pool.
   */
  onListening(reader: Reader): void {
    this.readers.push(reader);
  }

  /** From now on signals may be late or lost, until `isSound` again. */
  onDoubt(handler: () => void): void {
    this.doubtHandlers.push(handler);
  }

  /** After the last request: until then a revocation must still be heard. */
  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    const farewell = this.client?.end().catch(() => undefined);
    await Promise.race([farewell, sleep(FAREWELL_MS, undefined, { ref: false })]);
  }

  /** The first attempt is awaited by the start; those after it go on by themselves. */
  private async listen(attempt = 0): Promise<void> {
    const client = new pg.Client({
      connectionString: this.config.databaseUrl,
      application_name: 'stoa signals',
      connectionTimeoutMillis: DEAD_MS,
      keepAlive: true,
      options: KEEPALIVE,
    });
    // What breaks the connection ends it as well, and that is where it is dealt with.
    client.on('error', () => undefined);
    client.on('notification', ({ payload = '' }) => {
      this.receive(payload);
    });
    try {
      await client.connect();
      await answered(client.query(`LISTEN ${CHANNEL}`));
      const query: Query = async <R>(statement: pg.QueryConfig) => (await client.query(statement)).rows as R[];
      await answered(Promise.all(this.readers.map((read) => read(query))));
    } catch {
      client.end().catch(() => undefined);
      this.doubt();
      void this.retry(attempt);
      return;
    }
    if (this.stopped) return client.end();
    this.client = client;
    client.once('end', () => {
      this.doubt();
      void this.retry(0);
    });
    this.sound = true;
    void this.keepAsking(client);
  }

  private async retry(attempt: number): Promise<void> {
    this.client = undefined;
    if (attempt > 0) {
      const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** attempt, LONGEST_BACKOFF_MS);
      await sleep(backoff * (0.5 + Math.random() / 2), undefined, { ref: false });
    }
    if (!this.stopped) await this.listen(attempt + 1);
  }

  private async keepAsking(client: pg.Client): Promise<void> {
    try {
      for (;;) {
        await sleep(BEAT_MS, undefined, { ref: false });
        if (this.client !== client || this.stopped) return;
        const late = setTimeout(() => {
          this.doubt();
        }, LATE_MS);
        try {
          await answered(client.query('SELECT'));
        } finally {
          clearTimeout(late);
        }
        this.sound = true;
      }
    } catch {
      // With an answer outstanding this cuts the connection without a farewell that nobody would hear.
      await client.end().catch(() => undefined);
    }
  }

  private doubt(): void {
    if (!this.sound || this.stopped) return;
    this.sound = false;
    this.logger.debug('Signals may be lost');
    for (const handler of this.doubtHandlers) handler();
  }

  private receive(signal: string): void {
    const [, topic = '', payload = ''] = /^(\S+) (.*)$/s.exec(signal) ?? [];
    for (const handler of this.handlers.get(topic) ?? []) {
      try {
        handler(payload);
      } catch (error) {
        this.logger.error({ err: error, topic }, 'A signal could not be handled');
      }
    }
  }
}

/** The same promise, which is rejected where nothing comes of it in time. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(reject, DEAD_MS, new Error('The database is silent'));
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
