import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { ConfigError, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { prepareSchema } from './database/migrate.js';
import { fillIn } from './development.js';
import { JobsWorker } from './modules/jobs/index.js';
import { stopWhenTold } from './stop.js';
import { createLogger, NestLogger } from './telemetry/logger.js';

/** Works jobs and serves nobody: for more workers than servers, or servers with `JOBS=off`. */
async function main(): Promise<void> {
  const given = readConfig();
  if (given.databaseUrl === undefined) throw new ConfigError(['DATABASE_URL is required: whose jobs shall be worked?']);
  const logger = createLogger(given);
  const { config } = await fillIn(given, (line) => {
    logger.info(line);
  });
  const dataSource = await connect(config, logger, (each) => prepareSchema(config, each, logger));

  const app = await NestFactory.createApplicationContext(AppModule.offline(config, logger, dataSource), {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  const worker = app.get(JobsWorker);
  // Nobody sends it requests, so nobody has to notice first that it is about to end.
  stopWhenTold(config.with({ shutdownDelay: 0 }), logger, {
    announce: () => undefined,
    finish: () => worker.stop(),
    release: async () => {
      await app.close();
      await dataSource.destroy();
    },
  });
  worker.start();
  logger.info('Working jobs');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
