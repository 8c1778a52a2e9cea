import type { IncomingMessage, ServerResponse } from 'node:http';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Pool } from '../database/pool.js';
import { MalformedError } from '../errors.js';
import type { Metrics } from '../telemetry/metrics.js';
import { requestContext } from '../telemetry/request-context.js';
import { beginRequest, endRequest, traceIds, within } from '../telemetry/tracing.js';
import { VARY } from './accept.js';
import { keepRawBodies } from './body.js';
import { answerBrokenRequest } from './broken-requests.js';
import type { Drain } from './drain.js';
import type { ErrorFilter } from './error.filter.js';
import { Overload } from './overload.js';
import type { FastifyRequest } from 'fastify';
import { requestIdOf } from './refuse.js';
import { pathOf } from './request.js';
import { securityHeadersFor } from './security-headers.js';
import { readableUrlOf, routeTable } from './unmatched.controller.js';

const BODY_LIMIT = 100 * 1024;

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
    // Who takes nothing of an answer for so long has gone. No answer of ours takes as long to come.
    connectionTimeout: 60_000,
    // Longer than load balancers keep a connection that is idle (60 s as a rule): they have to be the ones who close it.
    keepAliveTimeout: 72_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2_000, requireHostHeader: false },
    clientErrorHandler: answerBrokenRequest,
    rewriteUrl: readableUrlOf,
  });

  const fastify = adapter.getInstance();
  keepRawBodies(fastify);
  routeTable.watch(fastify);
  drain.watch(fastify);
  new Overload(pool, logger, metrics).watch(fastify);

  // Else Node would drop what comes behind the thousandth, and say nothing: how long they may be in all is limited.
  fastify.server.maxHeadersCount = 0;
  // Who says that no more will come may well wait for the answer to what has come.
  Reflect.set(fastify.server, 'httpAllowHalfOpen', true);
  // RFC 9110 lets us overlook an expectation that we do not know; Node would refuse it without a word.
  fastify.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    fastify.server.emit('request', request, response);
  });

  // Nothing secret is in these lines, and to look for it in each took ten times what it takes to write them.
  const requestLogger = logger.child({}, { redact: [] });

  const enter = (request: FastifyRequest, done: () => void): void => {
    within(request.span, () => {
      requestContext.run({ requestId: request.id }, done);
    });
  };
  fastify.addHook('onRequest', (request, reply, done) => {
    request.span = beginRequest(request.method, request.headers);
    reply.headers(securityHeadersFor(request.url));
    reply.header('X-Request-Id', request.id);
    reply.header('Cache-Control', 'private, no-cache');
    reply.header('Vary', VARY);
    const fault = faultOf(request.raw);
    if (fault !== undefined) {
      failures().answer(new MalformedError(fault), request, reply);
      return;
    }
    enter(request, done);
  });
  // Reading a body leaves the context that the first hook entered.
  fastify.addHook('preHandler', (request, _reply, done) => {
    enter(request, done);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, span } = request;
    const route = request.routeOptions.url ?? 'unmatched';
    const path = pathOf(request.originalUrl);
    const status = reply.statusCode;
    metrics.observeRequest(method, route, status, reply.elapsedTime / 1000);
    if (span !== undefined) endRequest(span, { method, route, path, status });
    if (requestLogger.isLevelEnabled('info'))
      requestLogger.info(
        {
          requestId: request.id,
          ...traceIds(span),
          userId: request.user?.id,
          method,
          route,
          path,
          status,
          durationMs: Math.round(reply.elapsedTime * 100) / 100,
          ip: request.ip,
        },
        'Request',
      );
    done();
  });
  return adapter;
}

/** What neither a name nor an address has, nor the port behind it. RFC 3986, section 3.2.2. */
const NO_HOST = /[^\w.~%!$&'()*+,;=:[\]-]/;

/** Of several Node shows the first only, and a proxy before us may have gone by another. RFC 9112, section 3.2, of `Host`. */
function faultOf({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  let [hosts, authorizations] = [0, 0];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hosts++;
      if (NO_HOST.test(rawHeaders[i + 1] ?? '')) return 'The Host header names no host';
    }
    if (name.length === 13 && name.toLowerCase() === 'authorization') authorizations++;
  }
  if (authorizations > 1) return 'A request may have one Authorization header';
  return hosts === 1 || (hosts === 0 && httpVersion !== '1.1') ? undefined : 'A request needs one Host header';
}
