import { BoundedMap } from '../bounded-map.js';
import type { Place, Standing, Verdict } from './windows.js';

const SWEEP_MS = 60_000;
/** Past so many, those that were not seen for long are forgotten: memory stays bounded under any flood. */
const MOST_KEYS = 200_000;
/** So many that have passed may lie before those that count: to take each away by itself would move all others. */
const MOST_PASSED = 64;

/** When somebody was let through, oldest first. */
class Hits {
  private readonly times: number[] = [];
  private passed = 0;

  get count(): number {
    return this.times.length - this.passed;
  }

  get newest(): number {
    return this.times.at(-1) ?? 0;
  }

  /** The one after so many others. */
  at(index: number): number | undefined {
    return this.times[this.passed + index];
  }

  add(time: number): void {
    this.times.push(time);
  }

  remove(time: number): void {
    const index = this.times.lastIndexOf(time);
    if (index >= this.passed) this.times.splice(index, 1);
  }

  /** Leaves those that are later. */
  endAt(time: number): void {
    while ((this.at(0) ?? Infinity) <= time) this.passed++;
    if (this.passed > MOST_PASSED) this.times.splice(0, this.passed);
    else if (this.count === 0) this.times.length = 0;
    else return;
    this.passed = 0;
  }
}

/**
 * Sliding windows in this process: each key keeps the times of the hits that were let through in the last window, so
 * over any window at most `limit` are. A refused one leaves no trace.
 */
export class LocalWindows {
  private readonly hits: BoundedMap<Hits>;
  private longest = 0;

  constructor(
    private readonly now: () => number = () => Math.floor(performance.now() * 1000),
    mostKeys = MOST_KEYS,
  ) {
    this.hits = new BoundedMap(mostKeys);
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
    const taken = places.every(({ key, limit }) => (this.live(key, at - window)?.count ?? 0) < limit);
    if (taken) this.add(places, window, at);
    return { ...this.look(places, window, at), taken };
  }

  /** What `take` would say where it takes none. */
  look<P extends Place>(places: readonly P[], window: number, at = this.now()): Verdict<P> {
    const standings = places.map((place): Standing<P> => {
      const hits = this.live(place.key, at - window);
      const used = hits?.count ?? 0;
      // Where a limit was lowered more than one has to go first.
      const first = hits?.at(Math.max(0, used - place.limit)) ?? at;
      return { place, used, freeIn: first + window - at };
    });
    return { taken: false, at, standings };
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
      const hits = this.hits.get(key);
      hits?.remove(at);
      if (hits?.count === 0) this.hits.delete(key);
    }
  }

  private live(key: string, after: number): Hits | undefined {
    const hits = this.hits.get(key);
    hits?.endAt(after);
    return hits;
  }

  private add(places: readonly Place[], window: number, at: number): void {
    this.longest = Math.max(this.longest, window);
    for (const { key } of places) {
      let hits = this.hits.get(key);
      if (hits === undefined) this.hits.set(key, (hits = new Hits()));
      hits.add(at);
    }
  }

  private sweep(): void {
    const end = this.now() - this.longest;
    this.hits.drop(({ newest }) => newest <= end);
  }
}
