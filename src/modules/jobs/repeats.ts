import type { Logger } from 'pino';
import { isUnavailable } from '../../database/postgres-errors.js';
import type { Repeat } from './registry.js';

/** So that processes which start together do not all do everything at the same moment. */
const FIRST_WITHIN_MS = 500;
/** What fails again and again is done less often, but never less than this, unless it is to be. */
const LONGEST_BACKOFF_MS = 5000;

/** Does what is to be done over and over, each thing by itself, until it is told to stop. */
export class Repeats {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly running = new Set<Promise<void>>();
  private stopped = false;

  constructor(private readonly logger: Logger) {}

  start(repeats: readonly Repeat[]): void {
    for (const repeat of repeats) this.plan(repeat, Math.random() * Math.min(FIRST_WITHIN_MS, repeat.everyMs));
  }

  /** Resolves when the last has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers.values()) clearTimeout(timer);
    await Promise.all(this.running);
  }

  private plan(repeat: Repeat, delayMs: number, failures = 0): void {
    if (this.stopped) return;
    const run = (): void => {
      const began = performance.now();
      const running = this.once(repeat).then((succeeded) => {
        this.running.delete(running);
        const inRow = succeeded ? 0 : failures + 1;
        const pause = Math.min(repeat.everyMs * 2 ** inRow, Math.max(repeat.everyMs, LONGEST_BACKOFF_MS));
        this.plan(repeat, Math.max(0, pause - (performance.now() - began)), inRow);
      });
      this.running.add(running);
    };
    this.timers.set(repeat.name, setTimeout(run, delayMs));
  }

  /** Whether it succeeded. */
  private async once({ name, work }: Repeat): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      // Of which others tell.
      if (isUnavailable(error)) this.logger.debug({ repeat: name }, 'The database is away: repeated work waits');
      else this.logger.error({ err: error, repeat: name }, 'Repeated work failed');
      return false;
    }
  }
}
