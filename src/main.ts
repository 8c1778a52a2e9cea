import 'reflect-metadata';
import { hkdfSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { NestFactory } from '@nestjs/core';
import { VersioningType } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import { AppModule } from './app.module.js';
import { type Config, readConfig } from './config.js';
import { connect } from './database/connect.js';
import { poolOf } from './database/data-source.js';
import type { EmbeddedPostgres } from './database/embedded-postgres.js';
import { prepareSchema } from './database/migrate.js';
import { CursorKeys } from './database/paging.js';
import { fillIn } from './development.js';
import { fail } from './fail.js';
import { Drain } from './http/drain.js';
import { ErrorFilter } from './http/error.filter.js';
import { createAdapter } from './http/fastify.js';
import { interceptOnce } from './http/interceptors.js';
import { createDocument } from './http/openapi/document.js';
import { serveDocument } from './http/openapi/serve.js';
import { Standby } from './http/standby.js';
import { API_VERSIONS } from './http/versions.js';
import { listen } from './listening.js';
import { CatalogueService } from './modules/catalogue/index.js';
import { Lifecycle, Probes } from './modules/health/index.js';
import { JobsWorker } from './modules/jobs/index.js';
import { FirstAdmin } from './modules/users/index.js';
import { Redis } from './redis/redis.js';
import { secretsOf } from './signing-keys.js';
import { stopWhenTold } from './stop.js';
import { serveInside } from './telemetry/inside.js';
import { createLogger, NestLogger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { startTracing } from './telemetry/tracing.js';

/**
 * While the young generation is still small much of it survives a collection, from which V8 concludes for good that the
 * objects of a request are best made among the old: with each then goes all that it points to, for a full collection.
 * A server that is loaded as soon as it has started would so take 300 MB and twice as long for its slowest answers.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

/**
 * V8 lets the old generation grow to a multiple of what is alive before it collects all of it, for throughput. Here so
 * little grows old that it is collected once in a hundred thousand requests, and a quarter of the memory was waiting for it.
 */
setFlagsFromString('--heap-growing-percent=30');

async function main(): Promise<void> {
  const given = readConfig();
  const logger = createLogger(given);
  const { config, embedded } = await fillIn(given, (line) => {
    logger.info(line);
  });
  try {
    await serve(config, logger, embedded);
  } catch (error) {
    // It would go on without us.
    await embedded?.stop();
    throw error;
  }
}

async function serve(config: Config, logger: Logger, embedded: EmbeddedPostgres | undefined): Promise<void> {
  const stopTracing = await startTracing(config, logger);
  const standby = new Standby(config);
  const endOfStart = stopWhenTold(config.with({ shutdownDelay: 0 }), logger, {
    announce: () => undefined,
    finish: () => standby.close(),
    release: async () => {
      await stopTracing();
      await embedded?.stop();
    },
  });
  const prepare = (each: DataSource): Promise<void> => prepareSchema(config, each, logger);
  const dataSource = await connect(config, logger, prepare, async () => {
    await standby.listen('PORT', config.port);
    await standby.listen('METRICS_PORT', config.metricsPort);
  });

  const redis = new Redis(config.redisUrl, logger);
  await redis.start();
  const metrics = new Metrics();
  if (redis.isConfigured) metrics.gauge('stoa_redis_up', '1 while Redis answers, else 0', () => Number(redis.isHere));
  const drain = new Drain(config);
  const app = await createApp({ config, logger, dataSource, redis, metrics, drain });
  await app.init();
  // Before anything else can fail: nobody can ask for it again.
  const { madeUpPassword } = app.get(FirstAdmin);
  if (config.admin && madeUpPassword !== undefined)
    process.stdout.write(`\n  Admin  ${config.admin.email}  ${madeUpPassword}\n\n`);
  await standby.close();
  const inside = await serveInside(config, metrics, app.get(Probes));
  const lifecycle = app.get(Lifecycle);
  endOfStart();
  stopWhenTold(config, logger, {
    announce: () => {
      lifecycle.isStopping = true;
    },
    finish: async () => {
      await Promise.all([drain.run(app.getHttpServer()), app.get(JobsWorker).stop()]);
    },
    release: async () => {
      await app.close();
      await stopTracing();
      inside?.close();
      redis.stop();
      await dataSource.destroy();
      await embedded?.stop();
    },
  });

  // Not Nest's own, which for `localhost` makes a second server, that neither sheds load nor is drained.
  await app.getHttpAdapter().getInstance().ready();
  const server = app.getHttpServer();
  await listen(server, config, 'PORT', config.port);
  const { port } = server.address() as AddressInfo;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  logger.info({ url }, 'Listening');
  if (config.jobs === 'inline') app.get(JobsWorker).start();
  if (config.environment === 'development' && embedded !== undefined) await app.get(CatalogueService).loadDemo();
  if (!config.inProduction) {
    const known = config.admin && madeUpPassword === undefined ? config.admin.email : undefined;
    const admin = known && `  Admin  ${known}  (password as set or printed at the first start)\n`;
    process.stdout.write(`\n  API    ${url}/api/v1\n  Docs   ${url}/docs\n${admin ?? ''}\n`);
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

const cursorKeyOf = (secret: Buffer): Buffer => Buffer.from(hkdfSync('sha256', secret, '', 'stoa cursors', 32));

async function createApp(parts: Parts): Promise<NestFastifyApplication> {
  const { config, logger, dataSource, redis, metrics, drain } = parts;
  interceptOnce();
  const [secret, ...former] = secretsOf(config);
  const cursorKeys = new CursorKeys([cursorKeyOf(secret), ...former.map(cursorKeyOf)]);
  const app: NestFastifyApplication = await NestFactory.create<NestFastifyApplication>(
    AppModule.on({ config, logger, dataSource, cursorKeys, redis, metrics }),
    createAdapter({ config, logger, metrics, drain, pool: poolOf(dataSource), failures: () => app.get(ErrorFilter) }),
    { logger: new NestLogger(logger), bodyParser: false, abortOnError: false },
  );
  app.setGlobalPrefix('api', { exclude: ['health', 'health/live', 'health/ready', '.well-known/jwks.json'] });
  app.enableVersioning({ type: VersioningType.URI, defaultVersion: API_VERSIONS });
  if (config.corsOrigins.length > 0) {
    const options = {
      origin: config.corsOrigins.includes('*') ? '*' : [...config.corsOrigins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: 600,
    };
    app.enableCors({
      // After the hooks that set the headers of every answer.
      hook: 'preParsing',
      // An OPTIONS that asks for no other method is a request like any other.
      delegator: ({ headers }, done) => {
        done(null, { ...options, preflight: 'origin' in headers && 'access-control-request-method' in headers });
      },
    });
  }
  serveDocument(app, () => createDocument(app));
  if (config.environment === 'development' && config.metricsPort === undefined) {
    const fastify = app.getHttpAdapter().getInstance();
    fastify.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  }
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

main().catch(fail);
