// A shop's API with nothing but what it needs: bare Fastify, `pg`, prepared statements, a token verified for every
// request, no cache. `node bench/reference/server.mjs typical|tuned` serves Stoa's routes and answers in Stoa's shape,
// from Stoa's own tables. It has no rate limits, revocations, ETags, logs, metrics or jobs.
import { createHash } from 'node:crypto';
import Fastify from 'fastify';
import { createSigner, createVerifier } from 'fast-jwt';
import pg from 'pg';

const { DATABASE_URL, JWT_SECRET, PORT = '0', DATABASE_POOL_MAX = '10' } = process.env;

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const pool = new pg.Pool({
  connectionString: DATABASE_URL,
  max: Number(DATABASE_POOL_MAX),
  application_name: 'reference',
});

/** Named: PostgreSQL parses and plans it once for each connection. */
const prepared =
  (name, text) =>
  (values, client = pool) =>
    client.query({ name, text, values });

/** What a client is told, and why. */
class Refusal extends Error {
  constructor(statusCode, code, message = code) {
    super(message);
    Object.assign(this, { statusCode, code });
  }
}

const app = Fastify({ logger: false });

const issued = { iss: 'stoa', aud: 'stoa' };
const verify = createVerifier({
  key: JWT_SECRET,
  algorithms: ['HS256'],
  allowedIss: issued.iss,
  allowedAud: issued.aud,
  cache: false,
});
const signer = (seconds) => createSigner({ key: JWT_SECRET, algorithm: 'HS256', expiresIn: seconds * 1000, ...issued });
const ACCESS_TTL = 900;
const REFRESH_TTL = 604_800;
const signAccess = signer(ACCESS_TTL);
const signRefresh = signer(REFRESH_TTL);

function claimsOf(token, type) {
  let claims;
  try {
    claims = verify(token);
  } catch {
    throw new Refusal(401, 'UNAUTHORIZED');
  }
  if (claims.type !== type) throw new Refusal(401, 'UNAUTHORIZED');
  return claims;
}

app.decorateRequest('user', null);
const authenticated = async (request) => {
  const { authorization = '' } = request.headers;
  request.user = claimsOf(authorization.slice('Bearer '.length), 'access');
};

app.setErrorHandler((error, request, reply) => {
  const status = error.statusCode ?? 500;
  if (status === 500) console.error(error);
  void reply
    .status(error.validation ? 422 : status)
    .send({ success: false, error: { code: error.code ?? 'INTERNAL_ERROR', message: error.message } });
});

const uuid = { type: 'string', format: 'uuid' };
const schemas = {
  byId: { params: { type: 'object', properties: { id: uuid } } },
  page: {
    querystring: {
      type: 'object',
      additionalProperties: false,
      properties: {
        limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
        cursor: { type: 'string', maxLength: 200 },
      },
    },
  },
  search: {
    querystring: {
      type: 'object',
      additionalProperties: false,
      required: ['q'],
      properties: {
        q: { type: 'string', maxLength: 200 },
        limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
      },
    },
  },
  order: {
    body: {
      type: 'object',
      additionalProperties: false,
      required: ['items'],
      properties: {
        items: {
          type: 'array',
          minItems: 1,
          maxItems: 100,
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['productId', 'quantity'],
            properties: { productId: uuid, quantity: { type: 'integer', minimum: 1, maximum: 10_000 } },
          },
        },
        note: { type: 'string', maxLength: 1000 },
        metadata: { type: 'object', maxProperties: 20, additionalProperties: { type: 'string', maxLength: 500 } },
      },
    },
  },
  transfer: {
    body: {
      type: 'object',
      additionalProperties: false,
      required: ['fromAccountId', 'toAccountId', 'amount'],
      properties: {
        fromAccountId: uuid,
        toAccountId: uuid,
        amount: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
        note: { type: 'string', maxLength: 1000 },
      },
    },
  },
  refresh: {
    body: {
      type: 'object',
      additionalProperties: false,
      required: ['refreshToken'],
      properties: { refreshToken: { type: 'string', maxLength: 4096 } },
    },
  },
};

/** The request's key and what it stands for; null where there is none. */
function keyOf(request) {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  const fingerprint = createHash('sha256').update(`${request.method} ${request.url} ${JSON.stringify(request.body)}`);
  return { scope: `user:${request.user.sub}`, key, fingerprint: fingerprint.digest() };
}

/** Crockford's base 32, as Stoa's numbers are. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

const { routes } = await import(`./${process.argv[2]}.mjs`);
await routes(app, {
  pool,
  prepared,
  Refusal,
  schemas,
  authenticated,
  keyOf,
  orderNumber(random) {
    let text = '';
    for (let place = 0; place < 10; place++) text += (place === 5 ? '-' : '') + ALPHABET[random[place] & 31];
    return text;
  },
  orderTtl: Number(process.env.ORDER_TTL ?? 1800),
  tokens: {
    refreshGrace: 10,
    refreshTtl: REFRESH_TTL,
    hashOf: (secret) => createHash('sha256').update(secret).digest('base64url'),
    successorOf: (jti) => createHash('sha256').update(`stoa: successor of ${jti}`).digest('base64url'),
    verifyRefresh: (token) => claimsOf(token, 'refresh'),
    pair({ id: sub, email, role, rightsVersion }, sid, jti, issuedAt, accessId) {
      const access = { sub, email, roles: [role], sid, type: 'access', jti: `${rightsVersion}.${accessId}` };
      return {
        accessToken: signAccess(access),
        refreshToken: signRefresh({ sub, sid, jti, type: 'refresh', iat: Math.floor(issuedAt / 1000) }),
        tokenType: 'Bearer',
        expiresIn: ACCESS_TTL,
        refreshExpiresIn: REFRESH_TTL,
      };
    },
  },
});
app.get('/health/ready', async () => (await pool.query('SELECT 1')).rows);

await app.listen({ port: Number(PORT), host: '127.0.0.1' });
process.once('SIGTERM', async () => {
  await app.close();
  await pool.end();
});
