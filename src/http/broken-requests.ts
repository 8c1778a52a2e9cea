import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.js';
import { VARY } from './accept.js';
import { securityHeadersFor } from './security-headers.js';

const CODE: ErrorCode = 'MALFORMED_REQUEST';

/** What Node says of a request that never became one; anything else is 400. */
const FAULTS: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to come'],
  HPE_HEADER_OVERFLOW: [431, 'The request line and headers are too long'],
};

/** Those that something broken has come over: what comes behind it is not looked at. */
const broken = new WeakSet<Socket>();

/** Answers what is no HTTP, by hand, as there is no request to answer; and hangs up. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (broken.has(socket)) return;
  broken.add(socket);
  answerInTurn(error, socket);
}

function answerInTurn(error: { code?: string }, socket: Socket): void {
  const current = answerUnderWayOn(socket);
  const isLost = error.code === 'ECONNRESET' || !socket.writable;
  if (current?.req.complete === true && !isLost) {
    // It came behind another, whose client would take this for the answer to that one.
    current.once('close', () => {
      setImmediate(answerInTurn, error, socket);
    });
    return;
  }
  // After the head of another answer, this one would only be a part of its body.
  if (!isLost && current?.headersSent !== true) socket.write(answerTo(error));
  socket.destroySoon();
}

function answerTo({ code = '' }: { code?: string }): string {
  const [status, message] = FAULTS[code] ?? [400, 'The request is not HTTP'];
  const meta = { requestId: randomUUID(), timestamp: new Date().toISOString() };
  const body = JSON.stringify({ success: false, error: { code: CODE, message }, meta });
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date().toUTCString()}`,
    ...Object.entries(securityHeadersFor('')).map(([name, value]) => `${name}: ${value}`),
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${meta.requestId}`,
    'Cache-Control: private, no-cache',
    `Vary: ${VARY}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

/** The answer that is next on this connection; those to requests that came behind it wait for it. */
const answerUnderWayOn = (socket: Socket): ServerResponse | undefined =>
  (Reflect.get(socket, '_httpMessage') as ServerResponse | null | undefined) ?? undefined;
