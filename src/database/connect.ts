import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import type { Config } from '../config.js';
import { createDataSource } from './data-source.js';
import { translateFailure } from './postgres-errors.js';
import { UnavailableError } from '../errors.js';

const LONGEST_BACKOFF_MS = 10_000;

/**
 * A connected data source, once `prepare` is done with it. Waits for a database that is not there yet, or goes away
 * meanwhile, longer each time, and says so.
 */
export async function connect(
  config: Config,
  logger: Logger,
  prepare: (dataSource: DataSource) => Promise<void> = () => Promise.resolve(),
): Promise<DataSource> {
  for (let attempt = 0; ; attempt++) {
    const dataSource = createDataSource(config);
    try {
      await dataSource.initialize();
      await prepare(dataSource);
      return dataSource;
    } catch (error) {
      if (dataSource.isInitialized) await dataSource.destroy().catch(() => undefined);
      if (!(translateFailure(error) instanceof UnavailableError)) throw error;
      const backoff = Math.min(1000 * 2 ** attempt, LONGEST_BACKOFF_MS) * (0.5 + Math.random() / 2);
      logger.warn(
        { reason: error instanceof Error ? error.message : undefined },
        `The database is away, next try in ${Math.round(backoff)} ms`,
      );
      await sleep(backoff);
    }
  }
}
