import type { Logger } from 'pino';
import type { Repeat } from './registry.js';

/** So that processes which start together do not all do everything at the same moment. */
const FIRST_WITHIN_MS = 500;

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

  private plan(repeat: Repeat, delayMs: number): void {
    if (this.stopped) return;
    const run = (): void => {
      const began = performance.now();
      const running = this.once(repeat).finally(() => {
        this.running.delete(running);
        this.plan(repeat, Math.max(0, repeat.everyMs - (performance.now() - began)));
      });
      this.running.add(running);
    };
    this.timers.set(repeat.name, setTimeout(run, delayMs));
  }

  private async once({ name, work }: Repeat): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.error({ err: error, repeat: name }, 'Repeated work failed');
    }
  }
}
