import 'reflect-metadata';
import { ConfigError, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { migrate } from './database/migrate.js';
import { fail } from './fail.js';
import { createLogger } from './telemetry/logger.js';

/** Brings the schema up to date and ends: for a deployment that migrates before it serves. */
async function main(): Promise<void> {
  const config = readConfig();
  if (config.databaseUrl === undefined)
    throw new ConfigError(['DATABASE_URL is required: whose schema shall be migrated?']);
  const logger = createLogger(config);
  const dataSource = await connect(config, logger);
  const applied = await migrate(dataSource);
  logger.info({ applied }, 'Migrated');
  await dataSource.destroy();
}

main().catch(fail);
