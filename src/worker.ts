import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { DataSource } from 'typeorm';
import { AppModule } from './app.module.js';
import { ConfigError, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { prepareSchema } from './database/migrate.js';
import { fillIn } from './development.js';
import { fail } from './fail.js';
import { Standby } from './http/standby.js';
import { Lifecycle, Probes } from './modules/health/index.js';
import { JobsWorker } from './modules/jobs/index.js';
import { stopWhenTold } from './stop.js';
import { serveInside } from './telemetry/inside.js';
import { createLogger, NestLogger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { startTracing } from './telemetry/tracing.js';

/** Works jobs and serves nobody but its operator: for more workers than servers, or servers with `JOBS=off`. */
async function main(): Promise<void> {
  const given = readConfig();
  if (given.databaseUrl === undefined) throw new ConfigError(['DATABASE_URL is required: whose jobs shall be worked?']);
  const logger = createLogger(given);
  const { config } = await fillIn(given, (line) => {
    logger.info(line);
  });
  const stopTracing = await startTracing(config, logger);
  const standby = new Standby(config);
  // Nobody sends it requests, so nobody has to notice first that it is about to end.
  const hasty = config.with({ shutdownDelay: 0 });
  const endOfStart = stopWhenTold(hasty, logger, {
    announce: () => undefined,
    finish: () => standby.close(),
    release: stopTracing,
  });
  const prepare = (each: DataSource): Promise<void> => prepareSchema(config, each, logger);
  const dataSource = await connect(config, logger, prepare, () => standby.listen('METRICS_PORT', config.metricsPort));

  const app = await NestFactory.createApplicationContext(AppModule.offline(config, logger, dataSource), {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  const worker = app.get(JobsWorker);
  const lifecycle = app.get(Lifecycle);
  await standby.close();
  const inside = await serveInside(config, app.get(Metrics), app.get(Probes));
  endOfStart();
  stopWhenTold(hasty, logger, {
    announce: () => {
      lifecycle.isStopping = true;
    },
    finish: () => worker.stop(),
    release: async () => {
      await app.close();
      await stopTracing();
      inside?.close();
      await dataSource.destroy();
    },
  });
  worker.start();
  logger.info('Working jobs');
}

main().catch(fail);
