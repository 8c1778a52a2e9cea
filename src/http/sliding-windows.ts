import type { ThrottlerStorage } from '@nestjs/throttler';

type Hit = Awaited<ReturnType<ThrottlerStorage['increment']>>;

const SWEEP_MS = 60_000;

/**
 * Counts hits over sliding windows: each key keeps the times of the hits that were let through in the last window, so
 * over any window at most `limit` are. A refused one leaves no trace.
 */
export class SlidingWindows implements ThrottlerStorage {
  private readonly hits = new Map<string, { times: number[]; expiresAt: number }>();

  constructor(private readonly now: () => number = () => Math.floor(performance.now())) {
    setInterval(() => {
      this.sweep();
    }, SWEEP_MS).unref();
  }

  /** @param window in milliseconds; the answer's times are in seconds */
  increment(key: string, window: number, limit: number): Promise<Hit> {
    const now = this.now();
    const times = this.hits.get(key)?.times ?? [];
    const firstLive = times.findIndex((time) => time > now - window);
    times.splice(0, firstLive === -1 ? times.length : firstLive);

    const isBlocked = times.length >= limit;
    if (!isBlocked) {
      times.push(now);
      this.hits.set(key, { times, expiresAt: now + window });
    }
    const untilNextFree = Math.ceil(((times[0] ?? now) + window - now) / 1000);
    return Promise.resolve({
      totalHits: times.length,
      timeToExpire: untilNextFree,
      isBlocked,
      timeToBlockExpire: isBlocked ? untilNextFree : 0,
    });
  }

  private sweep(): void {
    const now = this.now();
    for (const [key, { expiresAt }] of this.hits) if (expiresAt <= now) this.hits.delete(key);
  }
}
