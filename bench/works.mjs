// What is measured: each work gives the requests of a connection, one by one.
import { createHmac, randomUUID } from 'node:crypto';
import { PASSWORD } from './fill.mjs';
import { request } from './load.mjs';
import { JWT_SECRET } from './processes.mjs';

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const DAY = 86_400;

function sign(claims) {
  const iat = Math.floor(Date.now() / 1000);
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ ...claims, iss: 'stoa', aud: 'stoa', iat, exp: iat + DAY })}`;
  return `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`;
}

const one = (list) => list[Math.floor(Math.random() * list.length)];

function several(list, count) {
  const chosen = new Set();
  while (chosen.size < count) chosen.add(one(list));
  return [...chosen];
}

/** Somebody else's, each time: anonymous requests are limited by address. */
const anyAddress = () => {
  const bits = Math.floor(Math.random() * 2 ** 24);
  return `10.${bits >> 16}.${(bits >> 8) & 255}.${bits & 255}`;
};

/** A function for each work, that makes its requests out of the data. */
export function works(data) {
  const users = data.users.map((user) => ({
    ...user,
    token: sign({
      sub: user.id,
      email: user.email,
      roles: ['user'],
      sid: randomUUID(),
      type: 'access',
      jti: `1.${randomUUID()}`,
    }),
  }));
  const tokenOf = new Map(users.map(({ id, token }) => [id, token]));
  const keyed = () => ({ 'Idempotency-Key': randomUUID() });
  const placing = (products) => () => {
    const items = several(products, 3).map((productId) => ({ productId, quantity: 1 }));
    return request('POST', '/api/v1/orders', {
      token: one(users).token,
      headers: keyed(),
      body: JSON.stringify({ items }),
    });
  };
  const choosing = (texts) => () => one(texts);
  const refresh = refreshing(data.sessions);
  const found = [...data.brands, ...data.pairs].map((q) =>
    request('GET', `/api/v1/products?q=${encodeURIComponent(q)}`, { token: one(users).token }),
  );
  return {
    'orders-get': {
      what: 'GET /orders/:id, 3 items',
      read: true,
      next: choosing(
        data.orders.map(({ id, userId }) => request('GET', `/api/v1/orders/${id}`, { token: tokenOf.get(userId) })),
      ),
    },
    'products-get': {
      what: 'GET /products/:id',
      read: true,
      next: choosing(data.products.map((id) => request('GET', `/api/v1/products/${id}`, { token: one(users).token }))),
    },
    'orders-list': {
      what: 'GET /orders?limit=20',
      read: true,
      next: choosing(
        users
          .filter(({ buysMuch }) => buysMuch)
          .map(({ token }) => request('GET', '/api/v1/orders?limit=20', { token })),
      ),
    },
    'products-search': { what: 'GET /products?q=…', read: true, next: choosing(found) },
    'orders-post': { what: 'POST /orders, 3 of 300 products', status: 201, next: placing(data.manyProducts) },
    'orders-post-hot': { what: 'POST /orders, 3 of 20 products', status: 201, next: placing(data.hotProducts) },
    transfers: {
      what: 'POST /transfers, 1,000 accounts',
      status: 201,
      next() {
        const [from, to] = several(users, 2);
        return request('POST', '/api/v1/transfers', {
          token: from.token,
          headers: keyed(),
          body: JSON.stringify({ fromAccountId: from.accountId, toAccountId: to.accountId, amount: 1 }),
        });
      },
    },
    refresh: { what: 'POST /auth/refresh', next: refresh },
    login: {
      what: 'POST /auth/login',
      // Some people, who come from where they always come from: a new place would be told of by mail.
      next() {
        const at = Math.floor(Math.random() * 50);
        return request('POST', '/api/v1/auth/login', {
          headers: { 'X-Forwarded-For': `10.0.0.${at}` },
          body: JSON.stringify({ email: users[at].email, password: PASSWORD }),
        });
      },
    },
  };
}

/** Each connection has sessions of its own, and spends in each what it was given last. */
function refreshing(sessions) {
  const lines = sessions.map(({ id, userId, jti }) => ({
    token: sign({ sub: userId, sid: id, type: 'refresh', jti }),
  }));
  const turns = new Map();
  return (connection) => {
    if (!turns.has(connection)) {
      turns.set(connection, { share: lines.filter((_, n) => n % 32 === connection), turn: 0 });
    }
    const mine = turns.get(connection);
    const line = mine.share[mine.turn++ % mine.share.length];
    return {
      text: request('POST', '/api/v1/auth/refresh', {
        headers: { 'X-Forwarded-For': anyAddress() },
        body: JSON.stringify({ refreshToken: line.token }),
      }),
      onAnswer(body, status) {
        if (status === 200) line.token = JSON.parse(body).data.refreshToken;
      },
    };
  };
}
