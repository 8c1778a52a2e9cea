import type { Redis } from '../redis/redis.js';
import { LocalWindows } from './local-windows.js';
import * as shared from './redis-windows.js';
import { isFull, type Place, type Standing, type Verdict } from './windows.js';

const MICROSECONDS = 1_000_000;

export interface Taken<P extends Place = Place> extends Verdict<P> {
  /** Until every window that is full has a place again: whole seconds, at least one and at most a window. */
  retryAfter: number;
  giveBack(): Promise<void>;
}

/**
 * Counts over sliding windows that all replicas share through Redis. While it is away each process counts for itself,
 * and begins with what it has let through before.
 */
export class Limiter {
  private readonly local: LocalWindows;

  /** @param window in seconds */
  constructor(
    private readonly redis: Redis,
    readonly window: number,
    local = new LocalWindows(),
  ) {
    this.local = local;
  }

  /** Takes one place in every window, or none in any. */
  async take<P extends Place>(places: readonly P[]): Promise<Taken<P>> {
    const window = this.window * MICROSECONDS;
    let localAt: number | undefined;
    const verdict = await this.redis.ask(
      (client) => shared.take(client, places, window),
      () => {
        const local = this.local.take(places, window);
        localAt = local.at;
        return local;
      },
    );
    const isShared = localAt === undefined;
    if (isShared && verdict.taken) localAt = this.local.note(places, window);
    return {
      ...verdict,
      retryAfter: Math.max(1, ...verdict.standings.filter(isFull).map((standing) => this.seconds(standing))),
      giveBack: async () => {
        if (!verdict.taken) return;
        if (localAt !== undefined) this.local.giveBack(places, localAt);
        if (!isShared) return;
        await this.redis.ask(
          (client) => shared.giveBack(client, places, verdict.at),
          () => undefined,
        );
      },
    };
  }

  /** Whole seconds after which one more place is free; never 0, never more than a window. */
  seconds({ freeIn }: Standing): number {
    return Math.min(Math.max(1, Math.ceil(freeIn / MICROSECONDS)), this.window);
  }
}
