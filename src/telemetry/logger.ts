import { Inject, type LoggerService } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import type { Config } from '../config.js';
import { requestContext } from './request-context.js';
import { traceIds } from './tracing.js';

/** The logger itself, as a provider. */
export const LOGGER = Symbol('logger');
export const Log = () => Inject(LOGGER);

/** Paths whose values never reach a log, wherever such an object is logged. */
const SECRETS = [
  'password',
  'currentPassword',
  'newPassword',
  'passwordHash',
  'token',
  'accessToken',
  'refreshToken',
  'authorization',
  'cookie',
  'secret',
  '["set-cookie"]',
  '["idempotency-key"]',
];

/** One JSON object a line on standard output; in a terminal, in development, lines for people. */
export function createLogger(config: Config): Logger {
  const forPeople = process.stdout.isTTY && !config.inProduction;
  return pino({
    level: config.logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: SECRETS.flatMap((path) => [path, path.startsWith('[') ? `*${path}` : `*.${path}`]),
    mixin: () => {
      const context = requestContext.getStore();
      return { ...(context !== undefined && { requestId: context.requestId }), ...traceIds() };
    },
    ...(forPeople && {
      transport: { target: 'pino-pretty', options: { ignore: 'requestId', translateTime: 'HH:MM:ss' } },
    }),
  });
}

/** Lets what Nest says go the way of all log lines. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: string): void {
    // Nest tells of every module and route at start, which nobody reads twice.
    this.logger.debug({ context }, String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    const [first, second] = rest;
    this.logger.error(
      message instanceof Error
        ? { err: message, context: first }
        : { stack: second && first, context: second ?? first },
      message instanceof Error ? message.message : String(message),
    );
  }

  warn(message: unknown, context?: string): void {
    this.logger.warn({ context }, String(message));
  }

  debug(message: unknown, context?: string): void {
    this.logger.debug({ context }, String(message));
  }

  verbose(message: unknown, context?: string): void {
    this.logger.trace({ context }, String(message));
  }

  fatal(message: unknown, context?: string): void {
    this.logger.fatal({ context }, String(message));
  }
}
