import { STATUS_CODES } from 'node:http';
import type { ErrorCode } from '../../errors.js';
import { STATUS } from '../error.filter.js';
import { EXAMPLE_ID, EXAMPLE_META } from './examples.js';
import { HEADERS_OF_STATUS, withHeaders } from './headers.js';
import { JSON_TYPE, PROBLEM_TYPE, ref, type Response } from './model.js';

interface Failure {
  /** When a client meets it. */
  when: string;
  message: string;
  details?: Record<string, unknown>[];
}

/** Every code, explained once. The compiler asks for an entry where a code is added. */
export const FAILURES: Readonly<Record<ErrorCode, Failure>> = {
  MALFORMED_REQUEST: {
    when: 'The request can not be parsed: bad JSON, or no body where one is due',
    message: 'The body is not valid JSON in UTF-8',
  },
  INVALID_CURSOR: {
    when: 'The cursor was made for another list, sort, filter or caller, or not by this server',
    message: 'This cursor was not made by this server for this list, sort, filter and caller',
  },
  INVALID_IDEMPOTENCY_KEY: {
    when: 'The `Idempotency-Key` is not 1 to 255 visible ASCII characters',
    message: 'The Idempotency-Key must be 1 to 255 visible ASCII characters',
  },
  UNAUTHORIZED: { when: 'There is no token, or not one of ours', message: 'A login is required' },
  TOKEN_EXPIRED: { when: 'The access token is past its time: refresh it', message: 'This token has expired' },
  TOKEN_REVOKED: {
    when: 'The session of the token has ended, or its rights have changed: refresh it, or log in again',
    message: 'This token has been revoked',
  },
  TOKEN_REUSED: {
    when: 'The refresh token was spent before: its whole session has been ended',
    message: 'This refresh token was used before, so its session has been ended',
  },
  INVALID_CREDENTIALS: { when: 'The email or the password is wrong', message: 'Wrong email or password' },
  FORBIDDEN: {
    when: 'You are known, but not allowed to do this',
    message: 'You may not do this with what belongs to somebody else',
  },
  NOT_FOUND: { when: 'There is no such thing, or no such route', message: 'There is no such thing' },
  METHOD_NOT_ALLOWED: { when: 'The path takes other methods: see `Allow`', message: 'This path takes GET, HEAD, POST' },
  CONFLICT: { when: 'The state of the resource forbids it', message: 'The state of things forbids it' },
  EMAIL_TAKEN: { when: 'Somebody else has this email', message: 'This email is taken' },
  INSUFFICIENT_STOCK: {
    when: 'There are not that many left: `details` names what there is',
    message: 'Not enough stock',
    details: [{ field: 'items[0].quantity', productId: EXAMPLE_ID, requested: 3, available: 1 }],
  },
  INVALID_TRANSITION: {
    when: 'The status does not allow this: `details` says what it allows',
    message: 'An order that is shipped can not become cancelled',
    details: [{ from: 'shipped', to: 'cancelled', allowed: ['delivered', 'refunded'] }],
  },
  IDEMPOTENCY_IN_PROGRESS: {
    when: 'The first request with this `Idempotency-Key` is still running: try again',
    message: 'The first request with this Idempotency-Key is still running',
  },
  PRECONDITION_FAILED: {
    when: 'The resource has changed since the version that `If-Match` names: read it again',
    message: 'The resource has changed since it was read',
  },
  PAYLOAD_TOO_LARGE: { when: 'The body is over 100 KiB', message: 'The body is over 100 KiB' },
  UNSUPPORTED_MEDIA_TYPE: {
    when: 'The body is not `application/json` in UTF-8',
    message: 'The body must be application/json in UTF-8',
  },
  VALIDATION_ERROR: {
    when: 'The request is well-formed, but not acceptable: `details` names each field that is at fault by its path',
    message: 'The request is not valid',
    details: [{ field: 'limit', message: 'must not be greater than 100' }],
  },
  INSUFFICIENT_FUNDS: { when: 'There is not that much money in the account', message: 'Not enough money' },
  CURRENCY_MISMATCH: {
    when: 'The two sides are not of one currency',
    message: 'Both must be of one currency',
  },
  IDEMPOTENCY_KEY_REUSED: {
    when: 'The `Idempotency-Key` was used before, for another request',
    message: 'This Idempotency-Key was used for another request',
  },
  RATE_LIMITED: {
    when: 'There were too many requests: wait for `Retry-After`',
    message: 'Too many requests, try again in 30 s',
  },
  INTERNAL_ERROR: { when: 'A defect on our side', message: 'Something went wrong on our side' },
  SERVICE_UNAVAILABLE: {
    when: 'Not now, try again: the database is away or busy, or the server is shutting down',
    message: 'The database can not be reached',
  },
};

const CODES = Object.keys(FAILURES) as ErrorCode[];

/** What each code looks like, in both of the forms that a client may ask for. */
export const EXAMPLES: Record<string, unknown> = Object.fromEntries(
  CODES.flatMap((code): [string, unknown][] => {
    const { when, message, details } = FAILURES[code];
    const rest = details === undefined ? {} : { details };
    const status = STATUS[code];
    const problem = { type: 'about:blank', title: STATUS_CODES[status], status, detail: message, instance: '/api/v1' };
    return [
      [code, { summary: when, value: { success: false, error: { code, message, ...rest }, meta: EXAMPLE_META } }],
      [`${code}_PROBLEM`, { summary: when, value: { ...problem, code, ...rest, requestId: EXAMPLE_META.requestId } }],
    ];
  }),
);

const describe = (codes: readonly ErrorCode[], conflict?: string): string =>
  codes.map((code) => (code === 'CONFLICT' ? conflict : undefined) ?? FAILURES[code].when).join('; or: ');

/** The answer to a failure with one of these codes, which all have one status; `conflict` is what a `CONFLICT` means. */
export function failure(codes: readonly ErrorCode[], conflict?: string): Response {
  const [first = 'INTERNAL_ERROR' as const] = codes;
  const examples = (suffix: string) => Object.fromEntries(codes.map((code) => [code, ref('examples', code + suffix)]));
  return withHeaders(
    {
      description: describe(codes, conflict),
      content: {
        [JSON_TYPE]: { schema: ref('schemas', 'ErrorAnswer'), examples: examples('') },
        [PROBLEM_TYPE]: { schema: ref('schemas', 'Problem'), examples: examples('_PROBLEM') },
      },
    },
    [
      ...(HEADERS_OF_STATUS[STATUS[first]] ?? []),
      ...(codes.includes('IDEMPOTENCY_IN_PROGRESS') ? ['Retry-After'] : []),
    ],
  );
}

/** The name to share an answer by, made of its codes, unless it is no failure or means something of its own. */
export function sharedName({ description, content }: Response): string | undefined {
  if (content?.[PROBLEM_TYPE] === undefined) return undefined;
  const codes = Object.keys(content[JSON_TYPE]?.examples ?? {}) as ErrorCode[];
  return description === describe(codes) ? codes.map(pascalCase).join('Or') : undefined;
}

const pascalCase = (code: string): string =>
  code.toLowerCase().replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The codes with their status and meaning, as a table in Markdown. */
export const failureTable = (): string =>
  [
    '| status | code | when |',
    '|---|---|---|',
    ...CODES.map((code) => `| ${STATUS[code]} | \`${code}\` | ${FAILURES[code].when} |`),
  ].join('\n');
