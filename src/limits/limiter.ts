import type { Redis } from '../redis/redis.js';
import { LocalWindows } from './local-windows.js';
import { RedisWindows } from './redis-windows.js';
import { isFull, type Place, type Standing, type Verdict } from './windows.js';

const MICROSECONDS = 1_000_000;
/** Who has used no more of a window than this has nearly all of it left, whoever counts: it is not worth the memory. */
const NEGLIGIBLE = 0.1;

export interface Taken<P extends Place = Place> extends Verdict<P> {
  isShared: boolean;
  /** When by the clock of this process, where a place was taken in it. */
  localAt: number | undefined;
}

/**
 * Counts over sliding windows that all replicas share through Redis. While it is away each process counts for itself,
 * and begins with what it has let through before of those who had used a good part of their window.
 */
export class Limiter {
  private readonly length: number;
  private readonly shared: RedisWindows;

  /** @param window in seconds */
  constructor(
    private readonly redis: Redis,
    readonly window: number,
    private readonly local = new LocalWindows(),
  ) {
    this.length = window * MICROSECONDS;
    this.shared = new RedisWindows(redis, this.length);
  }

  /** Takes one place in every window, or none in any. */
  async take<P extends Place>(places: readonly P[]): Promise<Taken<P>> {
    const shared = this.redis.isHere ? await this.shared.take(places) : undefined;
    if (shared !== undefined) {
      const { taken, at, standings } = shared;
      return {
        taken,
        at,
        standings,
        isShared: true,
        localAt: taken ? this.note(standings) : undefined,
      };
    }
    const { taken, at, standings } = this.local.take(places, this.length);
    return { taken, at, standings, isShared: false, localAt: taken ? at : undefined };
  }

  /** How full these windows are; takes no place in any. */
  async look<P extends Place>(places: readonly P[]): Promise<Standing<P>[]> {
    const shared = this.redis.isHere ? await this.shared.look(places) : undefined;
    return (shared ?? this.local.look(places, this.length)).standings;
  }

  /** Lets this process know, too. @returns when by its clock, where that is worth it */
  private note(standings: readonly Standing[]): number | undefined {
    const places = standings.filter(({ used, place }) => used > place.limit * NEGLIGIBLE).map(({ place }) => place);
    return places.length > 0 ? this.local.note(places, this.length) : undefined;
  }

  async giveBack({ taken, at, standings, isShared, localAt }: Taken): Promise<void> {
    const places = standings.map(({ place }) => place);
    if (localAt !== undefined) this.local.giveBack(places, localAt);
    if (isShared && taken) await this.shared.giveBack(places, at);
  }

  /** Until every window that is full has a place again: whole seconds, at least one and at most a window. */
  retryAfter(standings: readonly Standing[]): number {
    return Math.max(1, ...standings.filter(isFull).map((standing) => this.seconds(standing)));
  }

  /** Whole seconds after which one more place is free; never 0, never more than a window. */
  seconds({ freeIn }: Standing): number {
    return Math.min(Math.max(1, Math.ceil(freeIn / MICROSECONDS)), this.window);
  }
}
