import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../errors.js';
import { VARY } from './accept.js';

const CODE: ErrorCode = 'MALFORMED_REQUEST';

/** What Node says of a request that never became one; anything else is 400. */
const FAULTS: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to come'],
  HPE_HEADER_OVERFLOW: [431, 'The request line and headers are too long'],
};

/** Answers what is no HTTP, by hand, as there is no request to answer; and hangs up. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  // After the head of another answer, this one would only be a part of its body.
  const current = Reflect.get(socket, '_httpMessage') as { headersSent?: boolean } | null | undefined;
  if (socket.writable && error.code !== 'ECONNRESET' && current?.headersSent !== true) {
    const [status, message] = FAULTS[error.code ?? ''] ?? [400, 'The request is not HTTP'];
    const meta = { requestId: randomUUID(), timestamp: new Date().toISOString() };
    const body = JSON.stringify({ success: false, error: { code: CODE, message }, meta });
    socket.write(
      [
        `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
        `Date: ${new Date().toUTCString()}`,
        'Content-Type: application/json; charset=utf-8',
        `Content-Length: ${Buffer.byteLength(body)}`,
        `X-Request-Id: ${meta.requestId}`,
        'Cache-Control: private, no-cache',
        `Vary: ${VARY}`,
        'Connection: close',
        '',
        body,
      ].join('\r\n'),
    );
  }
  socket.destroySoon();
}
