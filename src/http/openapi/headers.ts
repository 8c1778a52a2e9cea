import { EXAMPLE_ID } from './examples.js';
import { type Parameter, ref, type Response, type Schema } from './model.js';

const REQUEST_ID = { type: 'string', minLength: 8, maxLength: 128, pattern: '^[A-Za-z0-9._-]{8,128}$' };
const STRONG_TAG = '^"[\\x21\\x23-\\x7e]+"$';

const text = (description: string, example: string, more: Schema = {}) => ({
  description,
  schema: { type: 'string', maxLength: 2048, ...more },
  example,
});
const count = (description: string, example: number) => ({
  description,
  schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 2_147_483_647 },
  example,
});

/** Every header of an answer, described once. */
export const HEADERS: Readonly<Record<string, Schema>> = {
  'Access-Control-Allow-Origin': text(
    'The origin of the page that asks, where the operator has allowed it',
    'https://shop.example',
  ),
  Allow: text('The methods that the path takes', 'GET, HEAD, POST'),
  'Cache-Control': text(
    'Who may keep the answer, and for how long. Together with `Vary: Authorization, Accept`',
    'private, no-cache',
  ),
  Deprecation: text('Since when the route has a successor, as seconds since 1970 (RFC 9745)', '@1767225600', {
    pattern: '^@\\d+$',
  }),
  ETag: text('The version of the resource, for `If-None-Match` and `If-Match`', '"3"', { pattern: STRONG_TAG }),
  'Idempotency-Replayed': text('The answer was given before, to the first request with this key', 'true', {
    enum: ['true'],
  }),
  Link: text('The successor of this route', '</api/v2/users/me>; rel="successor-version"'),
  Location: text(
    "The new resource's URL, or its parent's where it has none of its own",
    `/api/v1/orders/${EXAMPLE_ID}`,
    {
      format: 'uri-reference',
    },
  ),
  RateLimit: text("What is left of the limit, by the IETF's draft", '"user";r=997;t=900'),
  'RateLimit-Limit': count('How many requests the window has room for', 1000),
  'RateLimit-Policy': text("The limit and its window in seconds, by the IETF's draft", '"user";q=1000;w=900'),
  'RateLimit-Remaining': count('How many more requests would be taken now', 997),
  'RateLimit-Reset': count('Seconds until all of the window is free again', 900),
  'Retry-After': count('Seconds to wait before the next try', 30),
  'WWW-Authenticate': text('How to log in', 'Bearer', { enum: ['Bearer'] }),
  'X-Request-Id': { description: 'Names the request in our logs', schema: REQUEST_ID, example: 'checkout-7f3a91' },
};

const EVERYWHERE = [
  'Access-Control-Allow-Origin',
  'RateLimit',
  'RateLimit-Limit',
  'RateLimit-Policy',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'X-Request-Id',
];

/** What a failure of this status bears beside what every answer does. */
export const HEADERS_OF_STATUS: Readonly<Record<number, string[]>> = {
  401: ['WWW-Authenticate'],
  405: ['Allow'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/** The answer with the headers that every answer bears, and these; those of a limit only where there is one. */
export function withHeaders(
  response: Response,
  names: readonly string[],
  { isUncounted } = { isUncounted: false },
): Response {
  const { description, headers, ...rest } = response;
  const all = [...new Set([...EVERYWHERE, ...names])]
    .filter((name) => !isUncounted || !name.startsWith('RateLimit'))
    .sort();
  const references = Object.fromEntries(all.map((name) => [name, ref('headers', name)]));
  return { ...(description !== undefined && { description }), headers: { ...headers, ...references }, ...rest };
}

/** Parameters that many routes take, described once. */
export const PARAMETERS: Readonly<Record<string, Parameter>> = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description:
      'Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]{1,255}$' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` of the version that was read: refused with 412 where the resource has changed since',
    schema: { type: 'string', minLength: 1, maxLength: 1000 },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description:
      'The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one',
    schema: { type: 'string', minLength: 1, maxLength: 1000 },
  },
  RequestId: {
    name: 'X-Request-Id',
    in: 'header',
    required: false,
    description: 'Your own name for the request, to find it in our logs. One is made where it is missing or unfit',
    schema: { type: 'string', maxLength: 128 },
  },
};
