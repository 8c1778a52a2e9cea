import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Reading } from './reading.js';

/** One value of a gauge that others read out of the database. */
export interface Sample {
  name: string;
  labels?: Record<string, string>;
  value: number;
}

/** How late a timer is that should come every so often: what everybody else has waited for their turn meanwhile. */
const EVENT_LOOP_SAMPLE_MS = 20;

const SHORT = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What Prometheus reads at `/metrics`. */
@Injectable()
export class Metrics {
  private readonly registry = new Registry();

  private readonly requests = new Counter({
    name: 'stoa_http_requests_total',
    help: 'Requests answered, by method, route and status',
    labelNames: ['method', 'route', 'status'],
    registers: [this.registry],
  });

  private readonly durations = new Histogram({
    name: 'stoa_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer, by method and route',
    labelNames: ['method', 'route'],
    buckets: SHORT,
    registers: [this.registry],
  });

  private readonly eventLoopDelay = new Histogram({
    name: 'stoa_event_loop_delay_seconds',
    help: `How late the event loop came to a timer, looked at every ${EVENT_LOOP_SAMPLE_MS} ms`,
    buckets: SHORT,
    registers: [this.registry],
  });

  private readonly acquisitions = new Histogram({
    name: 'stoa_database_pool_acquire_duration_seconds',
    help: 'How long it took to be given a connection of the pool',
    buckets: [0.0001, ...SHORT, 30],
    registers: [this.registry],
  });

  private readonly jobs = new Histogram({
    name: 'stoa_job_duration_seconds',
    help: 'Attempts at jobs, by task and outcome: done, failed (to be tried again) or dead (given up)',
    labelNames: ['task', 'outcome'],
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60],
    registers: [this.registry],
  });

  private readonly webhookAttempts = new Histogram({
    name: 'stoa_webhook_attempt_duration_seconds',
    help: 'Attempts to deliver a webhook, by outcome: delivered, failed (to be tried again) or dead (given up)',
    labelNames: ['outcome'],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15],
    registers: [this.registry],
  });

  private readonly webhookDelays = new Histogram({
    name: 'stoa_webhook_attempt_delay_seconds',
    help: 'How long after it was due an attempt to deliver a webhook began',
    buckets: [0.1, 0.5, 1, 5, 30, 300, 3600],
    registers: [this.registry],
  });

  private readonly cacheReads = new Counter({
    name: 'stoa_cache_reads_total',
    help: 'Reads by id, by cache and by the tier that had the row: memory, redis or none',
    labelNames: ['cache', 'tier'],
    registers: [this.registry],
  });

  private readonly refusals = new Counter({
    name: 'stoa_rate_limit_refusals_total',
    help: 'Requests refused, by the limit that was reached',
    labelNames: ['policy'],
    registers: [this.registry],
  });

  private readonly shed = new Counter({
    name: 'stoa_shed_requests_total',
    help: 'Requests refused with 503 before they were looked at, as more came than could be answered',
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.watchEventLoop();
  }

  readonly contentType = this.registry.contentType;

  observeRequest(method: string, route: string, status: number, seconds: number): void {
    this.requests.inc({ method, route, status });
    this.durations.observe({ method, route }, seconds);
  }

  observeAcquisition(seconds: number): void {
    this.acquisitions.observe(seconds);
  }

  observeJob(task: string, outcome: 'done' | 'failed' | 'dead', seconds: number): void {
    this.jobs.observe({ task, outcome }, seconds);
  }

  observeWebhookAttempt(outcome: 'delivered' | 'failed' | 'dead', seconds: number, delay: number): void {
    this.webhookAttempts.observe({ outcome }, seconds);
    this.webhookDelays.observe(delay);
  }

  countCacheRead(cache: string, tier: 'memory' | 'redis' | 'none'): void {
    this.cacheReads.inc({ cache, tier });
  }

  countRefusal(policy: string): void {
    this.refusals.inc({ policy });
  }

  countShed(): void {
    this.shed.inc();
  }

  /** A gauge that this process knows at once; where `read` knows nothing it is left out. */
  gauge(name: string, help: string, read: () => number | undefined): void {
    this.register(name, help, [], () => {
      const value = read();
      return value === undefined ? [] : [{ name, value }];
    });
  }

  /**
   * Gauges that `ask` reads together, in one question, which has to be a cheap one: it is asked at a scrape, every few
   * seconds at most. Where there is no answer they are left out, and the scrape goes on without.
   *
   * @param gauges by name, what each is and which labels it bears
   */
  gaugesOf(
    gauges: Readonly<Record<string, { help: string; labels?: readonly string[] }>>,
    ask: () => Promise<readonly Sample[]>,
  ): void {
    const reading = new Reading(ask);
    for (const [name, { help, labels = [] }] of Object.entries(gauges)) {
      this.register(name, help, labels, async () => (await reading.get()) ?? []);
    }
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private register(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => readonly Sample[] | Promise<readonly Sample[]>,
  ): void {
    const gauge = new Gauge<string>({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect: async () => {
        const samples = await read();
        gauge.reset();
        // What has no labels is 0 after a reset, and nothing is known that would be 0.
        if (labelNames.length === 0) gauge.remove();
        for (const sample of samples) if (sample.name === name) gauge.set(sample.labels ?? {}, sample.value);
      },
    });
  }

  private watchEventLoop(): void {
    let due = performance.now() + EVENT_LOOP_SAMPLE_MS;
    setInterval(() => {
      const now = performance.now();
      this.eventLoopDelay.observe(Math.max(0, now - due) / 1000);
      due = now + EVENT_LOOP_SAMPLE_MS;
    }, EVENT_LOOP_SAMPLE_MS).unref();
  }
}
