import { setTimeout as sleep } from 'node:timers/promises';

/** However often Prometheus asks, and however many of it there are. */
const FRESH_MS = 5000;
/** Prometheus itself waits 10 s for all of a scrape. */
const PATIENCE_MS = 1000;

/** Something that is asked for at most every few seconds, by one at a time, and not waited for long. */
export class Reading<T> {
  private latest: { value: T; at: number } | undefined;
  private asking: Promise<void> | undefined;

  constructor(private readonly ask: () => Promise<T>) {}

  /** What was last said, if that is not too old; `undefined` where there is no answer in time, or an error. */
  async get(): Promise<T | undefined> {
    if (!this.isFresh) {
      this.asking ??= this.refresh();
      await Promise.race([this.asking, sleep(PATIENCE_MS, undefined, { ref: false })]);
    }
    return this.isFresh ? this.latest?.value : undefined;
  }

  private get isFresh(): boolean {
    return this.latest !== undefined && performance.now() - this.latest.at < FRESH_MS;
  }

  private async refresh(): Promise<void> {
    try {
      this.latest = { value: await this.ask(), at: performance.now() };
    } catch {
      // Whoever needs the database says that it is away.
    } finally {
      this.asking = undefined;
    }
  }
}
