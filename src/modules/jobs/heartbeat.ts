import type { Pool } from 'pg';

const EVERY_MS = 3000;
/** A worker that has not been seen for so long is gone: killed, frozen, or cut off from the database. */
export const LOST_AFTER_MS = 15_000;

/** Says that a worker is alive, for as long as it is, on the connections that it works with. */
export class Heartbeat {
  /** Rejects when the database has not answered for so long that others take this worker for lost. */
  readonly silence: Promise<never>;

  private timer: NodeJS.Timeout | undefined;
  private lastAt = performance.now();
  private steadySince = performance.now();
  private stopped = false;

  constructor(
    private readonly pool: Pool,
    private readonly id: string,
  ) {
    this.silence = new Promise((_, reject) => {
      this.beat(reject);
    });
  }

  /**
   * Whether it has been heard, without a gap, for as long as it takes to be lost. Only then can it say so of others:
   * after the database was away for a while, nobody has been seen lately.
   */
  get isSteady(): boolean {
    const isHeard = performance.now() - this.lastAt <= 2 * EVERY_MS;
    return isHeard && this.lastAt - this.steadySince >= LOST_AFTER_MS;
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private beat(giveUp: (error: Error) => void): void {
    void this.pool
      .query(
        `INSERT INTO job_workers (id, seen_at) VALUES ($1, now())
         ON CONFLICT ON CONSTRAINT job_workers_pkey DO UPDATE SET seen_at = now()`,
        [this.id],
      )
      .then(
        () => {
          if (performance.now() - this.lastAt > 2 * EVERY_MS) this.steadySince = performance.now();
          this.lastAt = performance.now();
        },
        () => undefined, // the next one may get through
      )
      .then(() => {
        if (this.stopped) return;
        if (performance.now() - this.lastAt > LOST_AFTER_MS)
          giveUp(new Error('The database has not answered for too long'));
        this.timer = setTimeout(() => {
          this.beat(giveUp);
        }, EVERY_MS);
      });
  }
}
