import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

/** What Prometheus reads at `/metrics`. */
@Injectable()
export class Metrics {
  private readonly registry = new Registry();

  private readonly requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests answered, by method, route and status',
    labelNames: ['method', 'route', 'status'],
    registers: [this.registry],
  });

  private readonly durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer, by method and route',
    labelNames: ['method', 'route'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  private readonly cacheReads = new Counter({
    name: 'cache_reads_total',
    help: 'Reads by id, by cache and by the tier that had the row: memory, redis or none',
    labelNames: ['cache', 'tier'],
    registers: [this.registry],
  });

  private readonly refusals = new Counter({
    name: 'rate_limit_refusals_total',
    help: 'Requests refused, by the limit that was reached',
    labelNames: ['policy'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  readonly contentType = this.registry.contentType;

  observeRequest(method: string, route: string, status: number, seconds: number): void {
    this.requests.inc({ method, route, status });
    this.durations.observe({ method, route }, seconds);
  }

  countCacheRead(cache: string, tier: 'memory' | 'redis' | 'none'): void {
    this.cacheReads.inc({ cache, tier });
  }

  countRefusal(policy: string): void {
    this.refusals.inc({ policy });
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }
}
