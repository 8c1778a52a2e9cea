import { Logger as GraphileLogger } from 'graphile-worker';
import type { Logger } from 'pino';

/** What became of a job we log ourselves; that there are fewer connections than jobs at once is on purpose. */
const NOISE = ['failure', 'success', 'concurrency'];

/**
 * Lets what graphile-worker says go the way of all log lines. The objects that come with a line are
 * left out, for they hold whole payloads.
 */
export function createGraphileLogger(logger: Logger): GraphileLogger {
  return new GraphileLogger(() => (level: string, message, details) => {
    if (details !== undefined && NOISE.some((detail) => detail in details)) return;
    // Its errors are those of connections, after which it goes on by itself.
    if (level === 'error' || level === 'warning') logger.warn({ context: 'jobs' }, message);
    else logger.debug({ context: 'jobs' }, message);
  });
}
