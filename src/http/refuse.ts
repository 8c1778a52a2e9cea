import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { ErrorCode } from '../errors.js';
import { prefersProblem, VARY } from './accept.js';
import { pathOf } from './request.js';

const STATUS = 503;
const CODE: ErrorCode = 'SERVICE_UNAVAILABLE';
const REQUEST_ID = /^[A-Za-z0-9._-]{8,128}$/;

/** The client's own id where it is a sound one, else a new one. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** Asks to come again in a second, where what answers requests has no time for this one, or is not there yet. */
export function refuse(request: IncomingMessage, response: ServerResponse, message: string): void {
  const requestId = requestIdOf(request);
  const isProblem = prefersProblem(request.headers.accept);
  const body = JSON.stringify(
    isProblem
      ? {
          type: 'about:blank',
          title: STATUS_CODES[STATUS],
          status: STATUS,
          detail: message,
          instance: pathOf(request.url),
          code: CODE,
          requestId,
        }
      : {
          success: false,
          error: { code: CODE, message },
          meta: { requestId, timestamp: new Date().toISOString() },
        },
  );
  response
    .writeHead(STATUS, {
      'Content-Type': `application/${isProblem ? 'problem+json' : 'json'}; charset=utf-8`,
      // Without it the answer would go out in chunks, which is four writes instead of one.
      'Content-Length': Buffer.byteLength(body),
      'X-Request-Id': requestId,
      'Cache-Control': 'private, no-cache',
      Vary: VARY,
      'Retry-After': 1,
    })
    .end(body);
}
