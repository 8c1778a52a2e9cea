// As a good team writes it by hand: prepared statements, one after another, in a transaction where something is written.
import { randomBytes, randomUUID } from 'node:crypto';
import { v7 as uuid } from 'uuid';

const PRODUCT = `id, sku, name, description, price, currency, stock, status, created_at AS "createdAt",
  updated_at AS "updatedAt", version`;
const ACCOUNT = `id, kind, user_id AS "userId", currency, balance, closed_at AS "closedAt"`;

export async function routes(
  app,
  { pool, prepared, Refusal, schemas, authenticated, keyOf, orderNumber, orderTtl, tokens },
) {
  const orderById = prepared('order', 'SELECT * FROM orders WHERE id = $1');
  const itemsOf = prepared('items', 'SELECT * FROM order_items WHERE order_id = ANY ($1) ORDER BY position');
  const firstPage = prepared(
    'orders',
    'SELECT * FROM orders WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2',
  );
  const nextPage = prepared(
    'orders-after',
    `SELECT * FROM orders WHERE user_id = $1 AND (created_at, id) < ($3::timestamptz, $4::uuid)
      ORDER BY created_at DESC, id DESC LIMIT $2`,
  );
  const productById = prepared('product', `SELECT ${PRODUCT} FROM products WHERE id = $1 AND status = 'active'`);
  const search = prepared(
    'search',
    `SELECT ${PRODUCT} FROM products, plainto_tsquery('product_search', $1) AS query
      WHERE words @@ query AND status = 'active'
      ORDER BY (title_words @@ query) DESC, ts_rank(title_words, query, 1) + ts_rank(words, query) DESC, id DESC LIMIT $2`,
  );
  const keyed = prepared(
    'key',
    `SELECT fingerprint, status, location, body FROM idempotency_keys
      WHERE scope = $1 AND key = $2 AND created_at > now() - interval '24 hours'`,
  );
  const keep = prepared(
    'keep',
    `INSERT INTO idempotency_keys (scope, key, fingerprint, status, location, body, created_at)
     VALUES ($1, $2, $3, 201, $4, $5, now())`,
  );
  const lockProduct = prepared(
    'lock-product',
    'SELECT id, sku, name, price, currency, stock, status FROM products WHERE id = $1 FOR NO KEY UPDATE',
  );
  const takeStock = prepared('take-stock', 'UPDATE products SET stock = stock - $2 WHERE id = $1');
  const addOrder = prepared(
    'add-order',
    `INSERT INTO orders (id, number, user_id, status, currency, total, note, metadata, created_at, updated_at, expires_at, version)
     VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $8, $9, 1)`,
  );
  const addItem = prepared(
    'add-item',
    `INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
  );
  const addChange = prepared(
    'add-change',
    `INSERT INTO order_status_changes (id, order_id, version, from_status, to_status, changed_by, created_at)
     VALUES ($1, $2, 1, NULL, 'pending', $3, $4)`,
  );
  const addEvent = prepared(
    'add-event',
    `INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
     SELECT $1, $2, $3, 1, $4, $5, pg_current_xact_id()::text::bigint + transaction_offset FROM event_feed`,
  );
  const lockAccount = prepared('lock-account', `SELECT ${ACCOUNT} FROM accounts WHERE id = $1 FOR NO KEY UPDATE`);
  const addTransfer = prepared(
    'add-transfer',
    `INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, note, created_by, created_at)
     VALUES ($1, 'transfer', $2, $3, $4, $5, $6, $7, $8)`,
  );
  const addEntry = prepared(
    'add-entry',
    'INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at) VALUES ($1, $2, $3, $4, $5)',
  );
  const lockSession = prepared('lock-session', 'SELECT * FROM sessions WHERE id = $1 FOR NO KEY UPDATE');
  const rotate = prepared(
    'rotate',
    `UPDATE sessions SET previous_refresh_hash = refresh_hash, refresh_hash = $2, rotated_at = $3, last_used_at = $3,
            expires_at = $4 WHERE id = $1`,
  );
  const endSession = prepared('end-session', 'UPDATE sessions SET ended_at = now() WHERE id = $1');
  const userById = prepared('user', 'SELECT * FROM users WHERE id = $1 AND erased_at IS NULL');

  async function transaction(work) {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }

  /** Does the work once for each key. Whoever comes while another is just using the key comes again. */
  async function once(key, work) {
    try {
      return await transaction(async (client) => {
        if (key !== null) {
          const [known] = (await keyed([key.scope, key.key], client)).rows;
          if (known !== undefined) {
            if (!known.fingerprint.equals(key.fingerprint)) throw new Refusal(422, 'IDEMPOTENCY_KEY_REUSED');
            return { data: JSON.parse(known.body), location: known.location, replayed: true };
          }
        }
        const { data, location } = await work(client);
        if (key !== null) await keep([key.scope, key.key, key.fingerprint, location, JSON.stringify(data)], client);
        return { data, location };
      });
    } catch (error) {
      if (error.constraint === 'idempotency_keys_pkey') return once(key, work);
      throw error;
    }
  }

  const answer = (reply, { data, location, replayed }) => {
    if (replayed) reply.header('Idempotency-Replayed', 'true');
    return reply.status(201).header('Location', `/api/v1${location}`).send({ success: true, data });
  };

  app.get('/api/v1/orders/:id', { schema: schemas.byId, onRequest: authenticated }, async (request) => {
    const [order] = (await orderById([request.params.id])).rows;
    if (order === undefined) throw new Refusal(404, 'NOT_FOUND');
    if (order.user_id !== request.user.sub && request.user.roles[0] === 'user') throw new Refusal(403, 'FORBIDDEN');
    const items = (await itemsOf([[order.id]])).rows;
    return { success: true, data: toOrder(order, items) };
  });

  app.get('/api/v1/products/:id', { schema: schemas.byId, onRequest: authenticated }, async (request) => {
    const [product] = (await productById([request.params.id])).rows;
    if (product === undefined) throw new Refusal(404, 'NOT_FOUND');
    return { success: true, data: product };
  });

  app.get('/api/v1/orders', { schema: schemas.page, onRequest: authenticated }, async (request) => {
    const { limit, cursor } = request.query;
    const after = cursor === undefined ? [] : Buffer.from(cursor, 'base64url').toString().split(' ');
    const found = (await (cursor === undefined ? firstPage : nextPage)([request.user.sub, limit + 1, ...after])).rows;
    const page = found.slice(0, limit);
    const items = (await itemsOf([page.map(({ id }) => id)])).rows;
    const last = page.at(-1);
    const hasNext = found.length > limit;
    const nextCursor = hasNext
      ? Buffer.from(`${last.created_at.toISOString()} ${last.id}`).toString('base64url')
      : null;
    const data = page.map((order) =>
      toOrder(
        order,
        items.filter((item) => item.order_id === order.id),
      ),
    );
    return { success: true, data, meta: { pagination: { limit, nextCursor, hasNext } } };
  });

  app.get('/api/v1/products', { schema: schemas.search, onRequest: authenticated }, async (request) => ({
    success: true,
    data: (await search([request.query.q, request.query.limit])).rows,
  }));

  app.post('/api/v1/orders', { schema: schemas.order, onRequest: authenticated }, async (request, reply) => {
    const { items, note = null, metadata = {} } = request.body;
    const placed = await once(keyOf(request), async (client) => {
      const products = new Map();
      // In the order of the ids, so that nobody waits in a circle.
      for (const id of items.map(({ productId }) => productId).sort()) {
        const [product] = (await lockProduct([id], client)).rows;
        if (product?.status !== 'active') throw new Refusal(422, 'VALIDATION_ERROR');
        products.set(id, product);
      }
      const id = uuid();
      const now = new Date();
      const lines = items.map(({ productId, quantity }, position) => {
        const { sku, name, price, stock } = products.get(productId);
        if (stock < quantity) throw new Refusal(409, 'INSUFFICIENT_STOCK');
        const unit_price = price;
        return {
          id: uuid(),
          position,
          product_id: productId,
          sku,
          name,
          quantity,
          unit_price,
          total: price * quantity,
        };
      });
      const currencies = new Set([...products.values()].map(({ currency }) => currency));
      if (currencies.size > 1) throw new Refusal(422, 'VALIDATION_ERROR');
      for (const { product_id, quantity } of lines) await takeStock([product_id, quantity], client);
      const order = {
        id,
        number: orderNumber(randomBytes(10)),
        user_id: request.user.sub,
        status: 'pending',
        currency: [...currencies][0],
        total: lines.reduce((sum, { total }) => sum + total, 0),
        note,
        metadata,
        created_at: now,
        updated_at: now,
        expires_at: new Date(now.getTime() + orderTtl * 1000),
        version: 1,
      };
      const { number, user_id, currency, total, expires_at } = order;
      await addOrder([id, number, user_id, currency, total, note, JSON.stringify(metadata), now, expires_at], client);
      for (const { id: item, position, product_id, sku, name, quantity, unit_price, total } of lines) {
        await addItem([item, id, position, product_id, sku, name, quantity, unit_price, total], client);
      }
      await addChange([uuid(), id, user_id, now], client);
      const data = toOrder(order, lines);
      await addEvent([uuid(), 'order.created', id, JSON.stringify(data), now], client);
      return { data, location: `/orders/${id}` };
    });
    return answer(reply, placed);
  });

  app.post('/api/v1/transfers', { schema: schemas.transfer, onRequest: authenticated }, async (request, reply) => {
    const { fromAccountId, toAccountId, amount, note = null } = request.body;
    const { sub } = request.user;
    const sent = await once(keyOf(request), async (client) => {
      const accounts = new Map();
      for (const id of [fromAccountId, toAccountId].sort()) accounts.set(id, (await lockAccount([id], client)).rows[0]);
      const from = accounts.get(fromAccountId);
      const to = accounts.get(toAccountId);
      if (from === undefined || from.closedAt !== null) throw new Refusal(422, 'VALIDATION_ERROR');
      if (to?.kind !== 'user' || to.closedAt !== null) throw new Refusal(422, 'VALIDATION_ERROR');
      if (from.userId !== sub) throw new Refusal(403, 'FORBIDDEN');
      if (from.currency !== to.currency) throw new Refusal(422, 'CURRENCY_MISMATCH');
      if (from.balance < amount) throw new Refusal(422, 'INSUFFICIENT_FUNDS');
      const id = uuid();
      const createdAt = new Date();
      const { currency } = from;
      await addTransfer([id, fromAccountId, toAccountId, amount, currency, note, sub, createdAt], client);
      await addEntry([uuid(), id, fromAccountId, -amount, createdAt], client);
      await addEntry([uuid(), id, toAccountId, amount, createdAt], client);
      const data = { id, kind: 'transfer', fromAccountId, toAccountId, amount, currency, note, createdAt };
      await addEvent([uuid(), 'transfer.created', id, JSON.stringify(data), createdAt], client);
      return { data, location: `/transfers/${id}` };
    });
    return answer(reply, sent);
  });

  app.post('/api/v1/auth/refresh', { schema: schemas.refresh }, async (request) => {
    const { sub, sid, jti } = tokens.verifyRefresh(request.body.refreshToken);
    const hash = tokens.hashOf(jti);
    const successor = tokens.successorOf(jti);
    const result = await transaction(async (client) => {
      const [session] = (await lockSession([sid], client)).rows;
      const [user] = (await userById([sub], client)).rows;
      if (session?.user_id !== sub || session.ended_at !== null || user === undefined)
        throw new Refusal(401, 'TOKEN_REVOKED');
      if (hash === session.refresh_hash) {
        const now = new Date();
        const expiresAt = new Date(now.getTime() + tokens.refreshTtl * 1000);
        await rotate([sid, tokens.hashOf(successor), now, expiresAt], client);
        return { user, at: now };
      }
      const inGrace = Date.now() - session.rotated_at.getTime() <= tokens.refreshGrace * 1000;
      if (hash === session.previous_refresh_hash && inGrace) return { user, at: session.rotated_at };
      await endSession([sid], client);
      await addEvent(
        [uuid(), 'session.reuse_detected', sid, JSON.stringify({ id: sid, userId: sub }), new Date()],
        client,
      );
      return undefined;
    });
    if (result === undefined) throw new Refusal(401, 'TOKEN_REUSED');
    const { user, at } = result;
    const { id, email, name, role, version } = user;
    const pair = tokens.pair(
      { id, email, role, rightsVersion: user.rights_version },
      sid,
      successor,
      at.getTime(),
      randomUUID(),
    );
    const shown = {
      id,
      email,
      name,
      role,
      emailVerified: user.email_verified,
      createdAt: user.created_at,
      updatedAt: user.updated_at,
      version,
    };
    return { success: true, data: { ...pair, user: shown } };
  });
}

function toOrder(order, items) {
  return {
    id: order.id,
    number: order.number,
    userId: order.user_id,
    status: order.status,
    currency: order.currency,
    total: order.total,
    items: items.map(({ id, product_id, sku, name, quantity, unit_price, total }) => ({
      id,
      productId: product_id,
      sku,
      name,
      quantity,
      unitPrice: unit_price,
      total,
    })),
    note: order.note,
    metadata: order.metadata,
    createdAt: order.created_at,
    updatedAt: order.updated_at,
    expiresAt: order.status === 'pending' ? order.expires_at : null,
    version: order.version,
  };
}
