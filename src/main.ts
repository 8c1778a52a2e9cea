import 'reflect-metadata';
import { hkdfSync } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:http';
import { NestFactory } from '@nestjs/core';
import { VersioningType } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import helmet from '@fastify/helmet';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { AppModule } from './app.module.js';
import { type Config, ConfigError, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { poolOf } from './database/data-source.js';
import { prepareSchema } from './database/migrate.js';
import { CursorKey } from './database/paging.js';
import { fillIn } from './development.js';
import { Drain } from './http/drain.js';
import { ErrorFilter } from './http/error.filter.js';
import { createAdapter } from './http/fastify.js';
import { createDocument } from './http/openapi/document.js';
import { serveDocument } from './http/openapi/serve.js';
import { API_VERSIONS } from './http/versions.js';
import { CatalogueService } from './modules/catalogue/index.js';
import { Lifecycle } from './modules/health/index.js';
import { JobsWorker } from './modules/jobs/index.js';
import { FirstAdmin } from './modules/users/index.js';
import { Redis } from './redis/redis.js';
import { secretsOf } from './signing-keys.js';
import { stopWhenTold } from './stop.js';
import { createLogger, NestLogger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';

async function main(): Promise<void> {
  const given = readConfig();
  const logger = createLogger(given);
  const { config, embedded } = await fillIn(given, (line) => {
    logger.info(line);
  });
  const dataSource = await connect(config, logger, (each) => prepareSchema(config, each, logger));

  const redis = new Redis(config.redisUrl, logger);
  await redis.start();
  const metrics = new Metrics();
  const drain = new Drain();
  const app = await createApp({ config, logger, dataSource, redis, metrics, drain });
  const metricsServer = await serveMetrics(config, app, metrics);
  const lifecycle = app.get(Lifecycle);
  stopWhenTold(config, logger, {
    announce: () => {
      lifecycle.isStopping = true;
    },
    finish: async () => {
      await Promise.all([drain.run(app.getHttpServer()), app.get(JobsWorker).stop()]);
    },
    release: async () => {
      await app.close();
      metricsServer?.close();
      redis.stop();
      await dataSource.destroy();
      await embedded?.stop();
    },
  });

  await app.listen(config.port, config.host);
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  logger.info({ url }, 'Listening');
  if (config.jobs === 'inline') app.get(JobsWorker).start();
  if (config.environment === 'development' && embedded !== undefined) await app.get(CatalogueService).loadDemo();
  if (!config.inProduction) {
    greet(url, app.get(FirstAdmin).madeUpPassword, config);
  }
}

interface Parts {
  config: Config;
  logger: Logger;
  dataSource: DataSource;
  redis: Redis;
  metrics: Metrics;
  drain: Drain;
}

async function createApp(parts: Parts): Promise<NestFastifyApplication> {
  const { config, logger, dataSource, redis, metrics, drain } = parts;
  const cursorKey = new CursorKey(Buffer.from(hkdfSync('sha256', secretsOf(config)[0], '', 'stoa cursors', 32)));
  const app: NestFastifyApplication = await NestFactory.create<NestFastifyApplication>(
    AppModule.on({ config, logger, dataSource, cursorKey, redis, metrics }),
    createAdapter({ config, logger, metrics, drain, pool: poolOf(dataSource), failures: () => app.get(ErrorFilter) }),
    { logger: new NestLogger(logger), bodyParser: false, abortOnError: false },
  );
  app.setGlobalPrefix('api', { exclude: ['health', 'health/live', 'health/ready', '.well-known/jwks.json'] });
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: API_VERSIONS });
  if (config.corsOrigins.length > 0) {
    app.enableCors({
      origin: config.corsOrigins.includes('*') ? '*' : [...config.corsOrigins],
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: 600,
    });
  }
  const document = createDocument(app);
  // Swagger UI brings its styles and its start script inline: exactly these may run, by their hash.
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        'script-src': ["'self'"],
        'style-src': ["'self'", "'unsafe-inline'"],
        'upgrade-insecure-requests': null,
      },
    },
  });
  serveDocument(app, document);
  return app;
}

const EXPOSED_HEADERS = [
  'Location',
  'ETag',
  'Link',
  'Deprecation',
  'Idempotency-Replayed',
  'X-Request-Id',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
];

/** On a port of their own where one is set, so that the outside never sees them; else on the main port, in development. */
async function serveMetrics(
  config: Config,
  app: NestFastifyApplication,
  metrics: Metrics,
): Promise<Server | undefined> {
  if (config.metricsPort !== undefined) {
    const server = createServer((request, response) => {
      if (request.url !== '/metrics') return response.writeHead(404).end();
      metrics.text().then(
        (text) => response.writeHead(200, { 'Content-Type': metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
      return undefined;
    });
    server.listen(config.metricsPort, config.host);
    await once(server, 'listening').catch((error: unknown) => {
      throw new ConfigError([`METRICS_PORT can not be listened on: ${error instanceof Error ? error.message : ''}`]);
    });
    return server;
  }
  if (config.environment === 'development') {
    app
      .getHttpAdapter()
      .getInstance()
      .get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  }
  return undefined;
}

function greet(url: string, adminPassword: string | undefined, config: Config): void {
  const lines = [
    '',
    `  API    ${url}/api/v1`,
    `  Docs   ${url}/docs`,
    ...(config.admin
      ? [`  Admin  ${config.admin.email}  ${adminPassword ?? '(password as set or printed at the first start)'}`]
      : []),
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

main().catch((error: unknown) => {
  const faults = error instanceof ConfigError ? error.faults : [error instanceof Error ? error.message : String(error)];
  process.stderr.write(`${faults.join('\n')}\n`);
  process.exit(1);
});
