import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type DataSource, TypeORMError } from 'typeorm';
import { type Config, ConfigError } from '../config.js';
import { createDataSource } from './data-source.js';
import { isUnavailable } from './postgres-errors.js';

const LONGEST_BACKOFF_MS = 10_000;
/** Who asks whether this process lives, or is ready, does not wait for much longer. */
const PATIENCE_MS = 2000;

/**
 * A connected data source, once `prepare` is done with it. Waits for a database that is not there yet, or goes away
 * meanwhile, longer each time, and says so.
 *
 * @param whileAway is done once, when the first attempt has failed or takes long
 * @throws ConfigError where no waiting will help
 */
export async function connect(
  config: Config,
  logger: Logger,
  prepare: (dataSource: DataSource) => Promise<void> = () => Promise.resolve(),
  whileAway: () => Promise<void> = () => Promise.resolve(),
): Promise<DataSource> {
  let waiting: Promise<void> | undefined;
  const wait = (): Promise<void> => (waiting ??= whileAway());
  let patience: NodeJS.Timeout | undefined;
  const impatience = new Promise<never>((_, reject) => {
    patience = setTimeout(() => void wait().catch(reject), PATIENCE_MS);
  });
  try {
    const dataSource = await Promise.race([connectOnceThere(config, logger, prepare, wait), impatience]);
    await waiting;
    return dataSource;
  } finally {
    clearTimeout(patience);
  }
}

async function connectOnceThere(
  config: Config,
  logger: Logger,
  prepare: (dataSource: DataSource) => Promise<void>,
  wait: () => Promise<void>,
): Promise<DataSource> {
  for (let attempt = 0; ; attempt++) {
    let dataSource: DataSource | undefined;
    try {
      dataSource = await open(config);
      await prepare(dataSource);
      return dataSource;
    } catch (error) {
      await dataSource?.destroy().catch(() => undefined);
      if (!isUnavailable(error)) throw error;
      await wait();
      const backoff = Math.min(1000 * 2 ** attempt, LONGEST_BACKOFF_MS) * (0.5 + Math.random() / 2);
      logger.warn(
        { reason: error instanceof Error ? error.message : undefined },
        `The database is away, next try in ${Math.round(backoff)} ms`,
      );
      await sleep(backoff);
    }
  }
}

async function open(config: Config): Promise<DataSource> {
  try {
    return await createDataSource(config).initialize();
  } catch (error) {
    // What TypeORM itself has to say is of our code. All else is of the URL: whom it names, or how it can be read.
    if (isUnavailable(error) || error instanceof TypeORMError || !(error instanceof Error)) throw error;
    throw new ConfigError([`DATABASE_URL can not be used: ${error.message}`]);
  }
}
