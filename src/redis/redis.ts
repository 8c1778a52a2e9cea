import { Redis as Client } from 'ioredis';
import type { Logger } from 'pino';
import { ConfigError } from '../config.js';
import { WaitingLine } from '../waiting-line.js';

export type { Client };

/**
 * Redis answers in well under a millisecond: what takes 100 ms is frozen, gone, or behind a broken network, and a request
 * that waits for it has to be answered within 300. Counted in ticks of this process rather than by the clock: after a stall
 * of our own the answer may just lie there unread.
 */
const TICK_MS = 25;
const TICKS = 4;
/** How often it is asked whether it is there, so that it is missed and found again without a request paying for it. */
const HEARTBEAT_MS = 500;
const LONGEST_RECONNECT_MS = 1000;
const START_MS = 1000;

/** What Redis says to a number that it has no database for, or that this user may not have: it will say it again. */
const REFUSED = /^(ERR|NOPERM) /;

const NO_ANSWER = Symbol('no answer');

/**
 * The one connection to Redis, behind a circuit breaker. Nobody waits for a Redis that is not there: the first command
 * that gets no answer in time opens the breaker, whatever is still waiting is let go at once, and everything goes its
 * other way until a probe in the background has been answered.
 */
export class Redis {
  private readonly client: Client | undefined;
  private heartbeat: NodeJS.Timeout | undefined;
  private isUp = false;
  private probing: Promise<void> | undefined;
  private readonly waiting = new WaitingLine<{ ticks: number; letGo: () => void }>();
  private clock: NodeJS.Timeout | undefined;
  /** What the log said last, so that it says nothing twice. */
  private told: 'nothing' | 'here' | 'away' | 'refused' = 'nothing';
  private reason = 'No answer';

  /** @param url unset: there is no Redis, and everything always goes its other way */
  constructor(
    url: string | undefined,
    private readonly logger: Logger,
  ) {
    if (url === undefined) return;
    this.client = new Client(url, {
      lazyConnect: true,
      connectTimeout: LONGEST_RECONNECT_MS,
      // For the probe, and a last resort for the rest.
      commandTimeout: 1000,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      // What may have been counted already must not be sent again.
      autoResendUnfulfilledCommands: false,
      // Our probe says more than INFO does, which not every user may ask for.
      enableReadyCheck: false,
      disableClientInfo: true,
      retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, LONGEST_RECONNECT_MS) * (0.5 + Math.random() / 2),
    });
    this.client.on('error', (error: Error) => {
      this.reason = error.message;
    });
    this.client.on('close', () => {
      this.lose(this.reason);
    });
    this.client.on('ready', () => void this.probe());
  }

  /** Whether there is one to speak to at all: without, this process is all there is. */
  get isConfigured(): boolean {
    return this.client !== undefined;
  }

  /** Whether it answered when it was last asked. */
  get isHere(): boolean {
    return this.isUp;
  }

  /**
   * Resolves when it is connected, or when it is clear enough that it is not: a server starts without it, too.
   *
   * @throws ConfigError where it is there and refuses the database that it is asked for
   */
  async start(): Promise<void> {
    if (this.client === undefined) return;
    this.heartbeat = setInterval(() => void this.probe(), HEARTBEAT_MS).unref();
    await Promise.race([
      this.client.connect().then(
        () => this.probe(),
        () => undefined,
      ),
      new Promise<void>((resolve) => void setTimeout(resolve, START_MS).unref()),
    ]);
    if (this.told === 'refused') throw new ConfigError([`REDIS_URL can not be used: ${this.reason}`]);
    if (!this.isUp) this.tell('away');
  }

  stop(): void {
    clearInterval(this.heartbeat);
    this.client?.removeAllListeners('close').disconnect();
    this.isUp = false;
  }

  /**
   * What Redis answers, or, where it is away or does not answer in time, what `otherwise` makes. The command may have
   * been done all the same.
   */
  async ask<T>(command: (client: Client) => Promise<T>, otherwise: () => T | Promise<T>): Promise<T> {
    if (this.client === undefined || !this.isUp) return otherwise();
    const answer = await this.inTime(command(this.client));
    return answer === NO_ANSWER ? otherwise() : answer;
  }

  /** Asks it now. */
  async isThere(): Promise<boolean> {
    await this.probe();
    return this.isUp;
  }

  /** Not a race of promises: each would leave a trace in one that lives as long as the connection. */
  private inTime<T>(command: Promise<T>): Promise<T | typeof NO_ANSWER> {
    return new Promise((resolve) => {
      const letGo = (): void => {
        if (this.waiting.leave(place)) resolve(NO_ANSWER);
      };
      const place = this.waiting.enter({ ticks: 0, letGo });
      this.clock ??= setInterval(() => {
        this.tick();
      }, TICK_MS);
      command.then(
        (answer) => {
          this.waiting.leave(place);
          resolve(answer);
        },
        (error: unknown) => {
          this.lose(error instanceof Error ? error.message : String(error));
          letGo();
        },
      );
    });
  }

  private tick(): void {
    if (this.waiting.size === 0) {
      clearInterval(this.clock);
      this.clock = undefined;
      return;
    }
    let isLate = false;
    for (const waiter of this.waiting) isLate = ++waiter.ticks > TICKS || isLate;
    if (isLate) this.lose('No answer in time');
  }

  private probe(): Promise<void> {
    this.probing ??= this.ping().finally(() => (this.probing = undefined));
    return this.probing;
  }

  /** A write, as a Redis that is read-only, full or still loading is of no use. */
  private async ping(): Promise<void> {
    if (this.client?.status !== 'ready') return;
    try {
      if (!this.isUp) await this.select(this.client);
      const answer = this.client.set('stoa:probe', '1', 'PX', 1000);
      if (this.isUp) await this.inTime(answer);
      else {
        await answer;
        this.find();
      }
    } catch (error) {
      this.reason = error instanceof Error ? error.message : String(error);
      this.tell('away');
      // One that takes connections and says nothing is left, so that commands do not pile up before it.
      this.client.disconnect(true);
    }
  }

  /**
   * The client itself does this at each connection, and goes on where it is refused: everything would then be written to
   * the database that other programs have their things in.
   */
  private async select(client: Client): Promise<void> {
    const { db } = client.options;
    if (db === undefined || db === 0) return;
    await client.select(db).catch((error: unknown) => {
      this.reason = error instanceof Error ? error.message : String(error);
      if (REFUSED.test(this.reason)) this.tell('refused');
      throw error;
    });
  }

  private find(): void {
    this.isUp = true;
    this.reason = 'The connection was closed';
    this.tell('here');
  }

  /** The log hears of it only when Redis does not answer a probe either. */
  private lose(reason: string): void {
    this.reason = reason;
    this.isUp = false;
    for (const { letGo } of this.waiting) letGo();
    if (this.client?.status !== 'ready') this.tell('away');
    else setImmediate(() => void this.probe());
  }

  private tell(state: 'here' | 'away' | 'refused'): void {
    // One that refuses is left each time, and so away: it need not be said again.
    if (state === this.told || (state === 'away' && this.told === 'refused')) return;
    const { reason, told } = this;
    this.told = state;
    // A start that is refused ends with saying so.
    if (told === 'nothing' && state !== 'away') return;
    if (state === 'here') this.logger.info('Redis is back');
    else this.logger.warn({ reason }, 'Redis is away: this process counts and remembers for itself');
  }
}
