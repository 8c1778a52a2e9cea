import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { OVERLOADED, type Pool } from '../database/pool.js';
import type { Metrics } from '../telemetry/metrics.js';
import { refuse } from './refuse.js';

const TICK_MS = 50;
/** An event loop that comes round later than that answers nobody well: a transaction waits for it at every statement. */
const MOST_LAG_MS = 500;
/** Nobody should wait for a connection for so long. */
const MOST_WAIT_MS = 2000;
/** Where more wait than so many for each connection, whoever comes should not have to wait for more than this. */
const FEW = 10;
const MOST_WAIT_OF_MANY_MS = 500;
/** Those that wait, and as many that are being answered; a group of orders needs a hundred of its kind. */
const FEWEST_UNDER_WAY = 200;
/** As many may wait in a rush for one product; past it nobody is let in. */
const MOST_WAITING = 1000;
/** Where one is refused for every so many that are served, more comes than can be answered. */
const SERVED_FOR_ONE_REFUSED = 5;
/** A rush, a pause for garbage or a start is over by then, without anybody having been refused. */
const PATIENCE_MS = 2000;
/** Once more has come than can be answered, it is looked at as closely for as long after the last time. */
const ALERT_MS = 5000;
/** Of those who are refused between two looks so many may come again at once. */
const FREE_TO_COME = 5;
/** The others are not listened to before that, as some come again as soon as they are told. */
const REST_MS = 2000;
const TELL_EVERY_MS = 1000;

/** What asks whether the server is well must be told. */
const EXEMPT = /^\/(health|metrics)(\/|\?|$)/;

/**
 * Refuses what comes while more comes than can be answered. A queue that goes away again is what queues are for; one
 * that stays only makes everybody late, so then whoever comes is refused while it is longer than it should be. (As in
 * Controlled Delay, https://queue.acm.org/detail.cfm?id=2209336, and "Fail at Scale",
 * https://queue.acm.org/detail.cfm?id=2839461.)
 */
export class Overload {
  private lastTick = performance.now();
  private lateSince: number | undefined;
  private alertUntil = 0;
  /** How many may wait for a connection, and how many be under way at all, before whoever comes next is refused. */
  private room = { waiting: MOST_WAITING, underWay: Infinity };
  /** Requests that have come whole: who sends slowly takes nobody's place. */
  private underWay = 0;
  /** Since when, those that rest longest first. */
  private readonly resting = new Map<Socket, number>();
  private served: number;
  /** Connections to the database that are given out in a second, of late. */
  private rate = 0;
  private refusedSinceTick = 0;
  private refusedSinceTold = 0;
  private toldAt = 0;

  constructor(
    private readonly pool: Pool,
    private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {
    this.served = pool.served;
    metrics.gauge(
      'stoa_http_requests_in_flight',
      'Requests that have come whole and have no answer yet',
      () => this.underWay,
    );
    setInterval(() => {
      this.tick();
    }, TICK_MS).unref();
  }

  /**
   * Stands before everything else that a request passes: a refusal has to cost a small part of an answer, or four times
   * the load would leave no time for answers.
   */
  watch(fastify: FastifyInstance): void {
    const { server } = fastify;
    const listeners = server.listeners('request');
    server.removeAllListeners('request').on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (this.isOn && !EXEMPT.test(request.url ?? '')) this.refuse(request, response);
      else for (const listener of listeners) listener.call(server, request, response);
    });
    fastify.addHook('preHandler', (request, _reply, done) => {
      request.isUnderWay = true;
      this.underWay++;
      done();
    });
    // Also where the client has gone, of which Node tells only some of those who wait behind others on its connection.
    fastify.addHook('onSend', (request, _reply, _payload, done) => {
      if (request.isUnderWay === true) this.underWay--;
      request.isUnderWay = false;
      done();
    });
  }

  private get isOn(): boolean {
    return this.pool.queued >= this.room.waiting || this.underWay >= this.room.underWay;
  }

  private tick(): void {
    const now = performance.now();
    const seconds = (now - this.lastTick) / 1000;
    const isSlow = now - this.lastTick - TICK_MS > MOST_LAG_MS || this.pool.longestWait > MOST_WAIT_MS;
    const weight = Math.exp(-2 * seconds);
    this.rate = weight * this.rate + (1 - weight) * ((this.pool.served - this.served) / seconds);
    this.served = this.pool.served;
    this.lastTick = now;
    this.release(now);

    if (this.isTooMuch(isSlow, seconds, now)) this.alertUntil = now + ALERT_MS;
    const isAlert = now < this.alertUntil;
    this.room = isAlert
      ? { waiting: isSlow ? 0 : this.few, underWay: Math.max(FEWEST_UNDER_WAY, 2 * this.few) }
      : { waiting: MOST_WAITING, underWay: Infinity };
    // Who was let in before it was known would only be answered when they have gone, and keep others from it.
    if (isAlert && this.refusedSinceTold > 0) this.pool.dismiss(MOST_WAIT_MS);
    this.refusedSinceTick = 0;
    if (this.refusedSinceTold > 0 && now - this.toldAt >= TELL_EVERY_MS) this.tell(now);
  }

  private isTooMuch(isSlow: boolean, seconds: number, now: number): boolean {
    const { queued } = this.pool;
    if (!isSlow && (queued <= this.few || queued <= (this.rate * MOST_WAIT_OF_MANY_MS) / 1000)) {
      this.lateSince = undefined;
      // Who is refused does not wait, and so what is refused has to count.
      return now < this.alertUntil && this.refusedSinceTick * SERVED_FOR_ONE_REFUSED > this.rate * seconds;
    }
    // Counted from the end of the first tick that was late: a single pause, however long, is one tick.
    this.lateSince ??= now;
    return now < this.alertUntil || now - this.lateSince >= PATIENCE_MS;
  }

  /** They keep the database busy, and wait for no longer than it takes to answer them. */
  private get few(): number {
    return FEW * this.pool.options.max;
  }

  /**
   * Clients who come again as soon as they are refused would leave no time for answers: of two thousand of them, who were
   * told at once, an eighth was left. They would also be taken for a load that lasts, and be refused for ever.
   */
  private refuse(request: IncomingMessage, response: ServerResponse): void {
    this.refusedSinceTick++;
    this.refusedSinceTold++;
    this.metrics.countShed();
    if (this.refusedSinceTick > FREE_TO_COME) {
      // Once it is over, and before anything else can be read: the turn of a busy loop takes longer than a client does.
      response.once('close', () => {
        this.rest(request.socket);
      });
    }
    refuse(request, response, OVERLOADED);
  }

  private rest(socket: Socket): void {
    // Each once: the end of an earlier rest would cut a later one short.
    this.resting.delete(socket);
    this.resting.set(socket, performance.now());
    socket.pause();
  }

  private release(now: number): void {
    for (const [socket, since] of this.resting) {
      if (now - since < REST_MS) return;
      this.resting.delete(socket);
      socket.resume();
    }
  }

  /** One line for many: to write one for each would be a good part of what a refusal costs. */
  private tell(now: number): void {
    this.logger.warn({ refused: this.refusedSinceTold }, 'More comes than can be answered');
    this.refusedSinceTold = 0;
    this.toldAt = now;
  }
}
