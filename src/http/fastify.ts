import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Pool } from '../database/pool.js';
import { MalformedError, UnavailableError } from '../errors.js';
import type { Metrics } from '../telemetry/metrics.js';
import { requestContext } from '../telemetry/request-context.js';
import { keepRawBodies } from './body.js';
import { answerBrokenRequest } from './broken-requests.js';
import type { Drain } from './drain.js';
import type { ErrorFilter } from './error.filter.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { routeTable } from './unmatched.controller.js';

const BODY_LIMIT = 100 * 1024;
/** An answer differs with who asks, and with the form of errors that they prefer. */
const VARY = 'Authorization, Accept';
const REQUEST_ID = /^[A-Za-z0-9._-]{8,128}$/;

/** What the web server is built on. */
export interface Below {
  config: Config;
  logger: Logger;
  metrics: Metrics;
  drain: Drain;
  pool: Pool;
  /** Known only when the application has been made. */
  failures: () => ErrorFilter;
}

/** The web server below Nest: what every request passes before and after any route, also where none matches. */
export function createAdapter({ config, logger, metrics, drain, pool, failures }: Below): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    trustProxy: config.trustProxy.length > 0 ? [...config.trustProxy] : false,
    genReqId: requestIdOf,
    // Longer than a request line can be: else a long id would be taken for another path.
    routerOptions: { maxParamLength: 20_000 },
    // Headers have 10 s and the whole request 30 s: a client that sends a byte a second holds nothing for long.
    requestTimeout: 30_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2_000, requireHostHeader: false },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      reply.headers({ 'X-Request-Id': request.id, Vary: VARY });
      // Fastify does not say here for whom a proxy asks, and what comes through it is not all one client's.
      if (config.trustProxy.length > 0) request.isCounted = true;
      failures().answer(error, request, reply);
    },
  });

  const fastify = adapter.getInstance();
  keepRawBodies(fastify);
  routeTable.watch(fastify);
  drain.watch(fastify);

  // RFC 9110 lets us overlook an expectation that we do not know; Node would refuse it without a word.
  fastify.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    fastify.server.emit('request', request, response);
  });

  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('X-Request-Id', request.id);
    reply.header('Cache-Control', 'private, no-cache');
    // CORS may have put its Origin there before.
    const vary = reply.getHeader('Vary');
    reply.header('Vary', vary === undefined ? VARY : `${String(vary)}, ${VARY}`);
    if (pool.isOverrun && !request.url.startsWith('/health')) {
      failures().answer(new UnavailableError('More comes than can be answered, try again'), request, reply);
      return;
    }
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      failures().answer(new MalformedError('A request needs a Host header'), request, reply);
      return;
    }
    requestContext.run({ requestId: request.id }, done);
  });
  // Reading a body leaves the context that the first hook entered.
  fastify.addHook('preHandler', (request, _reply, done) => {
    requestContext.run({ requestId: request.id }, done);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unmatched';
    metrics.observeRequest(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
    logger.info(
      {
        requestId: request.id,
        userId: request.user?.id,
        method: request.method,
        route,
        path: request.url.split('?', 1)[0],
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime * 100) / 100,
        ip: request.ip,
      },
      'Request',
    );
    done();
  });
  return adapter;
}

/** The client's own id where it is a sound one, else a new one. */
function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}
