import { failureTable } from './failures.js';

/** The parts of the document, in the order in which a reader wants them. */
export const TAGS: readonly { name: string; description: string }[] = [
  { name: 'Auth', description: 'Register, log in, and keep sessions going.' },
  { name: 'Users', description: 'Who is who: your own profile, and everybody for moderators and admins.' },
  { name: 'Catalogue', description: 'Products, their prices and what is in stock. Open to everyone.' },
  { name: 'Orders', description: 'From the first item to the delivery, with payments and refunds.' },
  { name: 'Checkout', description: 'A first order without a login: the customer and the order at once.' },
  { name: 'Ledger', description: 'Accounts and the money between them, in double entry.' },
  { name: 'Events', description: 'All that has happened, in order, for readers that follow.' },
  { name: 'Webhooks', description: 'Events sent to you, signed as Standard Webhooks has it.' },
  { name: 'Jobs', description: 'What runs in the background.' },
  { name: 'Operations', description: 'For those who run the server. Prometheus reads `/metrics`.' },
];

export const TITLE = 'Stoa';
export const SUMMARY = 'Users, auth and orders, with the catalogue, money and events they need.';

/** What holds for every route, told once. */
export const introduction = (): string =>
  `
${SUMMARY}

## Log in here

1. Send [register](#/Auth/register) or [login](#/Auth/login) below.
2. This page keeps the \`accessToken\` of the answer, and sends it with all that you try. (Elsewhere: copy it, press
   **Authorize** and paste it.) It is good for 15 minutes; then send [refresh](#/Auth/refresh) with the
   \`refreshToken\`.

<details>
<summary><b>What holds for every route: the envelope, errors, lists, conditions, idempotency, limits, versions</b></summary>

## Conventions

JSON in UTF-8, in camelCase. Times are ISO 8601 in UTC with milliseconds, ids are UUIDs. Money is an integer in the
currency's minor unit: \`1999\` with \`"currency": "EUR"\` is 19.99 EUR. An unknown property or parameter is refused,
never dropped.

Every answer bears \`success\` and \`meta\`; the result is in \`data\`:

\`\`\`json
{ "success": true, "data": { }, "meta": { "requestId": "checkout-7f3a91", "timestamp": "2026-01-31T09:30:00.000Z" } }
\`\`\`

Send your own \`X-Request-Id\` to find a request in the logs; else one is made. Either way it comes back.

## Errors

\`\`\`json
{
  "success": false,
  "error": {
    "code": "VALIDATION_ERROR",
    "message": "The request is not valid",
    "details": [{ "field": "items[0].quantity", "message": "must not be less than 1" }]
  },
  "meta": { "requestId": "checkout-7f3a91", "timestamp": "2026-01-31T09:30:00.000Z" }
}
\`\`\`

Programs go by the \`code\`; the \`message\` is for people. With \`Accept: application/problem+json\` the same comes as
RFC 9457 problem details.

${failureTable()}

## Lists

\`limit\` says how many entries (1 to 100, else 20), \`sortBy\` and \`sortOrder\` in which order. There are two ways on:

- **Cursor**, the default: repeat the request with \`cursor\` set to \`meta.pagination.nextCursor\` for as long as
  \`hasNext\` is true. Whatever is added meanwhile, no entry is seen twice or missed. A cursor is good for the sort, the
  filters and the caller that it was made for; \`limit\` may change.
- **Page**: \`page=2\` gives totals, for tables. It goes as deep as 10,000 entries.

## Conditional requests

What has a \`version\` bears an \`ETag\`. Send it as \`If-None-Match\` to get 304 instead of what you have already, and as
\`If-Match\` with a change to be refused with 412 if somebody else was faster.

## Idempotency

Every \`POST\` with a login takes an \`Idempotency-Key\`, 1 to 255 visible ASCII characters of your choice. Sent again
with the same key, the same request has no second effect: for 24 hours the first answer comes back, with
\`Idempotency-Replayed: true\`. Another request with that key is 422 \`IDEMPOTENCY_KEY_REUSED\`. A request that failed
leaves no key behind. What an answer told of somebody who has been erased since is not told again: that is 409
\`CONFLICT\`.
Logging out ends the very token that asks for it: sent again, it is 401 \`TOKEN_REVOKED\`.

## Rate limits

Within 15 minutes 100 requests from an address without a login, and 1,000 of a user, unless the operator has set it
otherwise; failed logins are limited more tightly. \`RateLimit-*\` tells where you stand; a 429 says in \`Retry-After\`
how long to wait.

## Versions

\`/api/v2\` answers as \`/api/v1\` does on every route, but for those that are listed under it below. A route that has a
successor says so with \`Deprecation\` and \`Link\`.

</details>
`.trim();
