import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Config } from '../../config.js';
import { Log } from '../../telemetry/logger.js';
import { Metrics } from '../../telemetry/metrics.js';
import { inSpan, SpanKind } from '../../telemetry/tracing.js';
import { SecretBox } from '../../secret-box.js';
import { type Event, EventsService } from '../events/index.js';
import { Bookkeeper, type Result } from './bookkeeper.js';
import { type Claimed, DeliveriesRepository } from './deliveries.repository.js';
import { PING } from './delivery.entity.js';
import { readRetryAfter, waitBefore } from './schedule.js';
import { signedHeaders } from './signature.js';
import { Interrupted, Transport } from './transport.js';
import type { Webhook } from './webhook.entity.js';
import { RefusedUrl } from './webhooks.errors.js';
import { toWebhook } from './webhooks.dto.js';
import { WebhooksRepository } from './webhooks.repository.js';

/** Sending is waiting: it costs a socket. */
const SENDS_AT_ONCE = 1024;
/** So that one receiver, slow or fast, takes neither all of ours nor all of its own. */
const PER_ENDPOINT = 8;
/** One that fails, or does not answer, is asked by one delivery after the other. */
const PER_FAILING_ENDPOINT = 1;
/** More than an attempt may take. What a process had in hand when it died is sent again after so long. */
const LEASE_MS = 20_000;
const PATIENCE_AT_STOP_MS = 3000;
const LONGEST_ERROR = 500;

const USER_AGENT = 'Stoa-Webhooks/1.0';

type Attempt = Pick<Result, 'status' | 'error' | 'response'> & { retryAfterMs?: number | undefined };

/**
 * Sends what is due. A delivery is leased, sent, and its outcome recorded; who dies in between has sent it maybe, and
 * another process sends it again once the lease is over. Recording and claiming take turns, so all of it needs one
 * connection to the database, however many sends are under way.
 */
@Injectable()
export class Sender implements BeforeApplicationShutdown {
  private readonly busy = new Map<string, number>();
  private readonly sends = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private results: Result[] = [];
  private pumping: Promise<void> | undefined;
  private isAskedAgain = false;
  private isClosed = false;

  constructor(
    private readonly webhooks: WebhooksRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly events: EventsService,
    private readonly bookkeeper: Bookkeeper,
    private readonly transport: Transport,
    private readonly box: SecretBox,
    private readonly config: Config,
    private readonly metrics: Metrics,
    @Log() private readonly logger: Logger,
  ) {}

  /** Records what has ended and begins what is due. Resolves when no more can be begun at the moment. */
  pump(): Promise<void> {
    this.isAskedAgain = true;
    this.pumping ??= this.recordAndClaim();
    return this.pumping;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.isClosed = true;
    const ended = Promise.all(this.sends);
    await Promise.race([ended, sleep(PATIENCE_AT_STOP_MS, undefined, { ref: false })]);
    this.stopping.abort();
    await ended;
    await this.pump().catch(() => undefined);
  }

  private async recordAndClaim(): Promise<void> {
    try {
      while (this.isAskedAgain) {
        this.isAskedAgain = false;
        await this.record();
        await this.claim();
      }
    } finally {
      this.pumping = undefined;
    }
  }

  /** What could not be recorded waits for the next time, and its place is not free before. */
  private async record(): Promise<void> {
    const results = [...this.results]; // others end meanwhile
    if (results.length === 0) return;
    await this.bookkeeper.record(results);
    this.results = this.results.slice(results.length);
    for (const { webhookId } of results) {
      const left = (this.busy.get(webhookId) ?? 0) - 1;
      if (left > 0) this.busy.set(webhookId, left);
      else this.busy.delete(webhookId);
    }
  }

  private async claim(): Promise<void> {
    const total = SENDS_AT_ONCE - [...this.busy.values()].reduce((sum, sends) => sum + sends, 0);
    if (this.isClosed || total <= 0) return;
    const claimed = await this.deliveries.claim({
      busy: this.busy,
      perEndpoint: PER_ENDPOINT,
      perFailing: PER_FAILING_ENDPOINT,
      total,
      leaseMs: LEASE_MS,
    });
    if (claimed.length === 0) return;
    const webhooks = byId(await this.webhooks.findByIds([...new Set(claimed.map(({ webhookId }) => webhookId))]));
    const events = byId(await this.events.byIds(claimed.map(({ eventId }) => eventId)));
    for (const delivery of claimed) {
      const webhook = webhooks.get(delivery.webhookId);
      if (webhook === undefined) continue; // deleted just now, and its deliveries with it
      this.busy.set(webhook.id, (this.busy.get(webhook.id) ?? 0) + 1);
      const send = this.send(delivery, webhook, events.get(delivery.eventId)).finally(() => this.sends.delete(send));
      this.sends.add(send);
    }
  }

  private async send(delivery: Claimed, webhook: Webhook, event: Event | undefined): Promise<void> {
    const began = performance.now();
    const attributes = { 'stoa.webhook.delivery': delivery.id, 'stoa.event.type': delivery.eventType };
    const result = await inSpan('webhook delivery', SpanKind.CLIENT, attributes, async (span) => {
      const ended = await this.attempt(delivery, webhook, event);
      if (ended.status !== null) span?.setAttribute('http.response.status_code', ended.status);
      return ended;
    });
    const seconds = (performance.now() - began) / 1000;
    if (result.attempted) {
      const outcome = result.error === null ? 'delivered' : result.state === 'dead' ? 'dead' : 'failed';
      this.metrics.observeWebhookAttempt(outcome, seconds, delivery.overdueMs / 1000);
      this.logger.info(
        {
          delivery: delivery.id,
          webhook: webhook.id,
          event: delivery.eventId,
          type: delivery.eventType,
          attempt: result.attempts,
          status: result.status,
          durationMs: Math.round(seconds * 1000),
          outcome,
        },
        'Webhook attempted',
      );
    }
    this.results.push(result);
    // Where that fails the database is away, and the next regular time comes soon.
    void this.pump().catch(() => undefined);
  }

  private async attempt(delivery: Claimed, webhook: Webhook, event: Event | undefined): Promise<Result> {
    const { id, lease, attempts, eventType, webhookId } = delivery;
    const { url } = webhook;
    const ending = {
      id,
      lease,
      webhookId,
      url,
      isGone: false,
      status: null,
      error: null,
      response: null,
      waitMs: null,
    };
    const dead = (error: string): Result => ({ ...ending, state: 'dead', attempted: false, attempts, error });
    if (!webhook.enabled) return dead('The webhook is disabled');
    if (event === undefined && eventType !== PING) return dead('The event is no longer kept');

    const body = JSON.stringify({
      type: eventType,
      timestamp: (event ?? delivery).createdAt.toISOString(),
      data: event?.data ?? toWebhook(webhook),
    });
    const attempt = await this.post(delivery, webhook, body);
    if (attempt === undefined) return { ...ending, state: 'pending', attempted: false, attempts };

    const { retryAfterMs, ...outcome } = attempt;
    const ended = { ...ending, ...outcome, attempted: true, attempts: attempts + 1 };
    if (attempt.error === null) return { ...ended, state: 'delivered' };
    if (attempt.status === 410) return { ...ended, state: 'dead', isGone: true };
    const waitMs = waitBefore(this.config.webhookRetrySchedule, ended.attempts, { retryAfterMs });
    return waitMs === undefined ? { ...ended, state: 'dead' } : { ...ended, state: 'pending', waitMs };
  }

  /** `undefined` where we were told to stop before it was known how it would end. */
  private async post({ eventId }: Claimed, webhook: Webhook, body: string): Promise<Attempt | undefined> {
    try {
      const secrets = webhook.signingSecrets().map((sealed) => this.box.open(sealed, webhook.id));
      const message = { id: eventId, timestamp: Math.floor(Date.now() / 1000), body };
      const headers = {
        'content-type': 'application/json',
        'user-agent': USER_AGENT,
        ...signedHeaders(message, secrets),
      };
      const { status, retryAfter, excerpt } = await this.transport.post(
        webhook.url,
        headers,
        body,
        this.stopping.signal,
      );
      return {
        status,
        response: excerpt,
        error: status >= 200 && status <= 299 ? null : `Answered ${status}${isRedirect(status) ? NOT_FOLLOWED : ''}`,
        retryAfterMs: [429, 503].includes(status) ? readRetryAfter(retryAfter) : undefined,
      };
    } catch (error) {
      if (error instanceof Interrupted) return undefined;
      return { status: null, response: null, error: describe(error) };
    }
  }
}

const isRedirect = (status: number): boolean => status >= 300 && status <= 399;
const NOT_FOLLOWED = ': redirects are not followed';

const byId = <T extends { id: string }>(rows: readonly T[]): Map<string, T> =>
  new Map(rows.map((row) => [row.id, row]));

/** On one line, without anything of the URL's path, which may be as good as a password. */
function describe(error: unknown): string {
  if (error instanceof RefusedUrl) return `The URL ${error.reason}`;
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  // eslint-disable-next-line no-control-regex
  return message.replaceAll(/[\x00-\x1f\x7f]+/g, ' ').slice(0, LONGEST_ERROR) || 'Failed without a message';
}
