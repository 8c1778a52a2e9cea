import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Logger } from 'pino';
import { IdempotencyInProgress } from '../database/idempotency.js';
import { refusalOf, translateFailure } from '../database/postgres-errors.js';
import { DomainError, type ErrorCode, UnavailableError } from '../errors.js';
import { RateLimited } from '../limits/rate-limited.js';
import { Log } from '../telemetry/logger.js';
import { prefersProblem } from './accept.js';
import { metaOf } from './envelope.interceptor.js';
import { pathOf, type Reply, type Request } from './request.js';
import { MethodNotAllowed, unmatched } from './unmatched.controller.js';
import { RequestLimits } from './request-limits.js';

/** The one place that says which code is answered with which status. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  MALFORMED_REQUEST: 400,
  INVALID_CURSOR: 400,
  INVALID_IDEMPOTENCY_KEY: 400,
  UNAUTHORIZED: 401,
  TOKEN_EXPIRED: 401,
  TOKEN_REVOKED: 401,
  TOKEN_REUSED: 401,
  INVALID_CREDENTIALS: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  EMAIL_TAKEN: 409,
  INSUFFICIENT_STOCK: 409,
  INVALID_TRANSITION: 409,
  IDEMPOTENCY_IN_PROGRESS: 409,
  PRECONDITION_FAILED: 412,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  VALIDATION_ERROR: 422,
  INSUFFICIENT_FUNDS: 422,
  CURRENCY_MISMATCH: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMITED: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
};

/** What the web framework itself refuses, by the status it would answer with. */
const BY_STATUS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  400: ['MALFORMED_REQUEST', 'The request can not be parsed'],
  413: ['PAYLOAD_TOO_LARGE', 'The body is over 100 KiB'],
  415: ['UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json in UTF-8, not compressed'],
  503: ['SERVICE_UNAVAILABLE', 'The server is shutting down'],
};

/** Of a path that leads out of its folder a file server says that it is forbidden. */
const NOWHERE: readonly number[] = [403, 404];

interface Failure {
  code: ErrorCode;
  message: string;
  details?: DomainError['details'];
}

/** Answers every failure in the one form that clients know. A defect is logged with its stack and never shown. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(
    @Log() private readonly logger: Logger,
    private readonly limits: RequestLimits,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<Reply>();
    if (!reply.sent) this.answer(error, host.switchToHttp().getRequest<Request>(), reply);
  }

  /** Also for what goes wrong before Nest has the request: what no guard has counted yet is counted here. */
  answer(thrown: unknown, request: Request, reply: Reply): void {
    // Ours are domain errors: the framework's own say that there is no such page outside of the API, and no such file.
    const isNowhere = thrown instanceof HttpException && NOWHERE.includes(thrown.getStatus());
    const error = isNowhere ? unmatched(request) : thrown;
    void this.settle(error, request, reply).then((settled) => {
      this.send(settled, request, reply);
    });
  }

  /** Sees to what the request counts for. @returns what it is answered with: the error, or that it is one too many */
  private async settle(error: unknown, request: Request, reply: Reply): Promise<unknown> {
    try {
      if (error instanceof RateLimited) await this.limits.takeBack(request, reply, error);
      // Where the database is away, it is not known yet who asks.
      else if (request.isCounted !== true && !(error instanceof UnavailableError))
        await this.limits.countEarly(request, reply);
      return error;
    } catch (refusal) {
      return refusal;
    }
  }

  private send(error: unknown, request: Request, reply: Reply): void {
    const failure = this.describe(error);
    const status = STATUS[failure.code];
    const meta = metaOf(request);
    if (status === 500) this.logger.error({ err: error, requestId: request.id }, 'Request failed');
    else {
      // Its message may quote a value.
      const sqlState = refusalOf(error);
      if (sqlState !== undefined)
        this.logger.warn({ sqlState, requestId: request.id }, 'PostgreSQL refused a statement');
    }

    if (status === 401) reply.header('WWW-Authenticate', 'Bearer');
    if (error instanceof MethodNotAllowed) reply.header('Allow', error.allowed.join(', '));
    if (error instanceof RateLimited || error instanceof IdempotencyInProgress)
      reply.header('Retry-After', error.retryAfter);
    else if (status === 503) reply.header('Retry-After', error instanceof UnavailableError ? error.retryAfter : 1);

    reply.status(status).header('Cache-Control', 'private, no-cache').removeHeader('Location').removeHeader('ETag');
    if (prefersProblem(request.headers.accept)) {
      const { message: detail, ...rest } = failure;
      const problem = {
        type: 'about:blank',
        title: STATUS_CODES[status],
        status,
        detail,
        instance: pathOf(request.originalUrl),
        ...rest,
      };
      void reply
        .header('Content-Type', 'application/problem+json; charset=utf-8')
        .send(JSON.stringify({ ...problem, requestId: request.id }));
      return;
    }
    // As text: a route's handler may have asked for another kind of answer before it failed.
    void reply
      .header('Content-Type', 'application/json; charset=utf-8')
      .send(JSON.stringify({ success: false, error: failure, meta }));
  }

  private describe(error: unknown): Failure {
    const expected = error instanceof DomainError ? error : translateFailure(error);
    if (expected !== undefined) {
      const { code, message, details } = expected;
      return { code, message, ...(details && { details }) };
    }
    const status = error instanceof HttpException ? error.getStatus() : statusOf(error);
    const [code, message] = BY_STATUS[status] ?? ['INTERNAL_ERROR', 'Something went wrong on our side'];
    return { code, message };
  }
}

/** Fastify's own errors bear the status they stand for; one of ours that only looks so must not pass for them. */
function statusOf(error: unknown): number {
  const isFastifys =
    error instanceof Error && 'statusCode' in error && String(Reflect.get(error, 'code')).startsWith('FST_');
  return isFastifys ? Number(error.statusCode) : 500;
}
