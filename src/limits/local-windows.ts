import type { Place, Standing, Verdict } from './windows.js';

const SWEEP_MS = 60_000;
/** Past so many, who was seen last the longest ago is forgotten: memory stays bounded under any flood. */
const MOST_KEYS = 100_000;

/**
 * Sliding windows in this process: each key keeps the times of the hits that were let through in the last window, so
 * over any window at most `limit` are. A refused one leaves no trace.
 */
export class LocalWindows {
  private readonly hits = new Map<string, { times: number[]; endsAt: number }>();

  constructor(
    private readonly now: () => number = () => Math.floor(performance.now() * 1000),
    private readonly mostKeys = MOST_KEYS,
  ) {
    setInterval(() => {
      this.sweep();
    }, SWEEP_MS).unref();
  }

  get size(): number {
    return this.hits.size;
  }

  /** Takes one place in every window, or none in any. @param window in microseconds */
  take<P extends Place>(places: readonly P[], window: number): Verdict<P> {
    const at = this.now();
    const taken = places.every(({ key, limit }) => this.live(key, at - window).length < limit);
    if (taken) this.add(places, window, at);
    const standings = places.map((place): Standing<P> => {
      const times = this.live(place.key, at - window);
      // Where a limit was lowered more than one has to go first.
      const first = times[Math.max(0, times.length - place.limit)] ?? at;
      return { place, used: times.length, freeIn: first + window - at };
    });
    return { taken, at, standings };
  }

  /** Takes a place whatever the limit: somebody else has let it through. @returns when */
  note(places: readonly Place[], window: number): number {
    const at = this.now();
    for (const { key } of places) this.live(key, at - window);
    this.add(places, window, at);
    return at;
  }

  giveBack(places: readonly Place[], at: number): void {
    for (const { key } of places) {
      const times = this.hits.get(key)?.times ?? [];
      const index = times.lastIndexOf(at);
      if (index !== -1) times.splice(index, 1);
      if (times.length === 0) this.hits.delete(key);
    }
  }

  private live(key: string, after: number): number[] {
    const times = this.hits.get(key)?.times;
    if (times === undefined) return [];
    const first = times.findIndex((time) => time > after);
    if (first !== 0) times.splice(0, first === -1 ? times.length : first);
    return times;
  }

  private add(places: readonly Place[], window: number, at: number): void {
    for (const { key } of places) {
      const times = this.hits.get(key)?.times ?? [];
      times.push(at);
      // Put in anew, so that the map stays in the order in which they were seen last.
      this.hits.delete(key);
      this.hits.set(key, { times, endsAt: at + window });
    }
    while (this.hits.size > this.mostKeys) this.hits.delete(this.hits.keys().next().value ?? '');
  }

  private sweep(): void {
    const now = this.now();
    for (const [key, { endsAt }] of this.hits) if (endsAt <= now) this.hits.delete(key);
  }
}
