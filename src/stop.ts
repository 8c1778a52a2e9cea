import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from './config.js';

/** The steps in which a process ends. */
export interface Steps {
  /** Says that it is no longer ready; it goes on serving for a while, until those who asked have noticed. */
  announce(): void;
  /** Takes nothing new, and ends what is in work. */
  finish(): Promise<void>;
  /** Lets go of everything that it has opened. */
  release(): Promise<void>;
}

/**
 * Ends the process in order at SIGTERM or SIGINT (exit code 0), or after a defect that nobody has caught (exit code 1).
 * A second signal, or the time being up, ends it at once (exit code 1).
 *
 * @returns takes that back, for other steps to take their place
 */
export function stopWhenTold(config: Config, logger: Logger, steps: Steps): () => void {
  let isStopping = false;

  const stop = async (delay: number): Promise<void> => {
    isStopping = true;
    steps.announce();
    if (delay > 0) await sleep(delay * 1000);
    setTimeout(() => {
      logger.error('What was in work has not ended in time');
      process.exit(1);
    }, config.shutdownTimeout * 1000).unref();
    await steps.finish();
    await steps.release();
    logger.info('Stopped');
  };

  const stopWith = (code: number, delay: number): void => {
    stop(delay).then(
      () => process.exit(code),
      (error: unknown) => {
        logger.error({ err: error }, 'Could not stop in order');
        process.exit(1);
      },
    );
  };

  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(1);
    logger.info({ signal }, 'Stopping');
    // Somebody at a terminal is not a load balancer.
    stopWith(0, signal === 'SIGTERM' ? config.shutdownDelay : 0);
  };
  const onDefect = (error: unknown): void => {
    logger.fatal({ err: error }, 'A defect that nobody has caught');
    if (!isStopping) stopWith(1, 0);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  for (const defect of DEFECTS) process.on(defect, onDefect);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    for (const defect of DEFECTS) process.off(defect, onDefect);
  };
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const DEFECTS = ['uncaughtException', 'unhandledRejection'] as const;
