/** How much to make, and out of what. The same numbers make the same rows, down to the ids. */
export interface Plan {
  users: number;
  products: number;
  orders: number;
  /** Another one makes other rows, which may be added to the first. */
  seed: number;
  /** When the last order is placed; users and products come in the year before the year of the orders. */
  until: Date;
  passwordHash: string;
}

/** Rows that are made in one batch after another. */
export interface Stage {
  name: string;
  rows: number;
  /** What has to be there before the first of them. */
  first?: readonly string[];
  /** Makes the rows from $1 to $2, counted from 1. */
  statement: string;
}

/** All that is filled. */
export const TABLES = [
  'users',
  'products',
  'product_words',
  'product_spellings',
  'orders',
  'order_items',
  'order_status_changes',
  'shipments',
  'payments',
  'accounts',
  'transfers',
  'ledger_entries',
  'events',
] as const;

/** The seeds that the database has something of. */
export const SEEDS = `
  SELECT substring(email_key FROM '@seed([1-9]\\d{0,7})\\.example\\.com$')::integer AS seed FROM users
   WHERE email_key LIKE '%@seed%.example.com'
  UNION
  SELECT substring(sku FROM '^S([1-9]\\d{0,7})-[A-Z]{3}-\\d{6,8}$')::integer FROM products WHERE sku LIKE 'S%'`;

/**
 * Stops or starts what the ledger does and checks for one entry after another, where entries are made by thousands and
 * checked at the end. In a transaction: nobody else can write there until it ends, and no crash leaves a guard off.
 */
export const guards = (change: 'DISABLE' | 'ENABLE'): string =>
  Object.entries({
    accounts: 'accounts_keep_balance',
    ledger_entries: 'ledger_entries_book',
    transfers: 'transfers_even',
  })
    .map(([table, trigger]) => `ALTER TABLE ${table} ${change} TRIGGER ${trigger}`)
    .join('; ');

/**
 * The foreign keys of what is filled. They are dropped and made again at the end, in the same transaction: one look at all
 * rows takes a tenth of what a look at each one takes.
 */
export const FOREIGN_KEYS = `
  SELECT conrelid::regclass::text AS table, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
   WHERE contype = 'f' AND conrelid = ANY ('{${TABLES.join()}}'::regclass[])
   ORDER BY conname`;

export interface ForeignKey {
  table: string;
  name: string;
  definition: string;
}

const words = (text: string): string => `ARRAY['${text.trim().split(/\s+/).join("','")}']`;

const FIRST_NAMES =
  words(`Ada Alan Amina Anders Anna Ben Björn Carla Chen Chloé Daria David Elif Emil Emma Erik Fatima Felix Freya
  Hana Hugo Ines Ivan Jack Jana João Jonas Julia Kai Karim Lea Leo Lina Luca Maja Marco María Mei Milan Mina Nadia Nils Noor
  Olga Omar Oscar Paula Pedro Priya Rania Rosa Samuel Sara Sofia Tariq Theo Uma Vera Viktor Yara Zoë`);
const LAST_NAMES =
  words(`Abbott Adler Ahmed Almeida Andersen Archer Baker Bauer Bianchi Brown Carter Castro Chen Costa Dubois
  Eriksson Fischer Fontaine Fraser Garcia Grant Haas Hansen Hughes Ito Jansen Jensen Kaya Khan Kim Klein Kowalski Kumar Lang
  Larsen Lopez Marino Meyer Moreau Morris Müller Nakamura Nguyen Novak Olsen Patel Peeters Petrov Quinn Rossi Santos Schmidt
  Silva Singh Smith Souza Tanaka Torres Virtanen Wagner Walker Weber Yilmaz Young Zhang`);
const QUALITIES =
  words(`Adjustable Antique Bright Classic Compact Curved Dimmable Double Elegant Ergonomic Everyday Folding
  Grand Handmade Heavy Insulated Large Light Little Lockable Magnetic Matte Mobile Modern Narrow Nordic Plain Portable Pressed
  Quiet Rounded Rustic Silent Simple Slim Small Soft Solid Sturdy Tall Thin Twin Upright Vintage Warm Wide Woven`);
const MATERIALS =
  words(`acacia aluminium ash bamboo beech birch brass bronze canvas ceramic cherry concrete copper cork cotton
  down enamel felt glass granite iron jute leather linen maple marble oak paper pine porcelain rattan rubber silk slate steel
  stoneware teak velvet walnut wicker wool`);
const THINGS =
  words(`basket bench blanket bookshelf bottle bowl box brush cabinet candle carafe chair clock coaster cup cushion
  desk drawer easel footstool frame glass grinder hammock hook jar kettle knife ladder lamp lantern mat mirror mug notebook
  organiser ottoman pan pen pillow planter plate pot rack rug scale shelf sofa stand stool table tent throw tray vase wardrobe
  whiteboard`);
const ROOMS =
  words(`attic balcony bathroom bedroom cabin cellar garage garden hall kitchen library nursery office pantry patio
  studio study terrace workshop`);
const SYLLABLES =
  words(`ba bel cor dal den el fa fer gal hal in jor ka kel la lin lo mar mi nor ol pa pel qui ra ren sa sol
  ta tor ul va vin wen xa yo zan zel`);
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * Functions of the session that say what the nth row is like, so that no row has to be looked up to be referred to. They
 * use nothing that depends on the session's settings, such as `text || bigint` or the length of a day: only then does
 * PostgreSQL dissolve them in the query instead of calling them.
 */
export function definitions({ users, products, orders, seed, until }: Plan): string[] {
  const define = (signature: string, returns: string, body: string, volatility = 'IMMUTABLE'): string =>
    `CREATE FUNCTION pg_temp.${signature} RETURNS ${returns} LANGUAGE sql ${volatility} AS $$ SELECT ${body} $$`;
  /** So many days before the end, on a whole millisecond. */
  const daysBefore = (days: string): string =>
    `to_timestamp(floor(${until.getTime()} - ${24 * 3_600_000}::float8 * ${days}) / 1000)`;
  const digit = (place: number): string =>
    `substr('${ALPHABET}', 1 + (((n * 1181783497 + ${seed * 7919}) >> ${5 * place}) & 31)::integer, 1)`;
  return [
    define(
      'draw(what text, n bigint, below bigint)',
      'bigint',
      `abs(hashtextextended(what || n::text, ${seed}) % below)`,
    ),
    define(
      'one(what text, n bigint, choices text[])',
      'text',
      `choices[1 + pg_temp.draw(what, n, cardinality(choices))]`,
    ),
    // A UUID of version 7 with what is random in it drawn by lot from the seed.
    define(
      'id_of(what text, n bigint, at timestamptz)',
      'uuid',
      `(lpad(to_hex((date_part('epoch', at AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0') || '7'
        || overlay(substr(md5(what || ':${seed}:' || n::text), 1, 19) PLACING '8' FROM 4))::uuid`,
    ),
    // A time as JSON writes it.
    define('iso(at timestamptz)', 'text', `to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`, 'STABLE'),
    define('user_at(n bigint)', 'timestamptz', daysBefore(`(730 - 365 * (n::float8 / ${users + 1}))`)),
    define('product_at(n bigint)', 'timestamptz', daysBefore(`(730 - 365 * (n::float8 / ${products + 1}))`)),
    define('order_at(n bigint)', 'timestamptz', daysBefore(`(365 - 365 * (n::float8 / ${orders + 1}))`)),
    define('user_id(n bigint)', 'uuid', `pg_temp.id_of('user', n, pg_temp.user_at(n))`),
    define('product_id(n bigint)', 'uuid', `pg_temp.id_of('product', n, pg_temp.product_at(n))`),
    define(
      'account_id(n bigint, currency text)',
      'uuid',
      `pg_temp.id_of('account ' || currency, n, pg_temp.user_at(n))`,
    ),
    define('order_id(n bigint)', 'uuid', `pg_temp.id_of('order', n, pg_temp.order_at(n))`),
    // Some buy much, most little.
    define(
      'buyer(n bigint)',
      'bigint',
      `1 + floor(${users} * power(pg_temp.draw('buyer', n, 1000000) / 1e6, 2))::bigint`,
    ),
    // Of every ten products seven are sold in one currency; an order stays among those of one.
    define(
      'currency(n bigint)',
      'text',
      products < 100 ? `'EUR'` : `CASE n % 10 WHEN 9 THEN 'GBP' WHEN 8 THEN 'USD' WHEN 7 THEN 'USD' ELSE 'EUR' END`,
    ),
    define(
      'bought(n bigint, item bigint)',
      'bigint',
      products < 100
        ? `1 + (pg_temp.draw('bought', n, ${products}) + item) % ${products}`
        : `1 + (pg_temp.draw('bought', n, ${products}) + item * 10) % ${products - (products % 10)}`,
    ),
    define(
      'status(n bigint)',
      'text',
      `CASE WHEN n > ${orders - Math.ceil(orders / 100)} THEN 'pending'
            WHEN pg_temp.draw('status', n, 100) < 8 THEN 'cancelled'
            WHEN pg_temp.order_at(n) > ${daysBefore('2')} THEN 'paid'
            WHEN pg_temp.order_at(n) > ${daysBefore('5')} THEN 'shipped'
            ELSE 'delivered' END`,
    ),
    // One after another through a scrambled circle of 2^50: no two are the same.
    define(
      'number(n bigint)',
      'text',
      `${[9, 8, 7, 6, 5].map(digit).join(' || ')} || '-' || ${[4, 3, 2, 1, 0].map(digit).join(' || ')}`,
    ),
  ];
}

/** What became of an order: its changes of status, by version, and how long after it was placed. */
const LIFE = `(VALUES
  ('pending', 1, NULL, 'pending', interval '0'),
  ('paid', 1, NULL, 'pending', interval '0'), ('paid', 2, 'pending', 'paid', interval '1 minute'),
  ('cancelled', 1, NULL, 'pending', interval '0'), ('cancelled', 2, 'pending', 'cancelled', interval '30 minutes'),
  ('shipped', 1, NULL, 'pending', interval '0'), ('shipped', 2, 'pending', 'paid', interval '1 minute'),
  ('shipped', 3, 'paid', 'shipped', interval '1 day'),
  ('delivered', 1, NULL, 'pending', interval '0'), ('delivered', 2, 'pending', 'paid', interval '1 minute'),
  ('delivered', 3, 'paid', 'shipped', interval '1 day'), ('delivered', 4, 'shipped', 'delivered', interval '3 days')
) AS life (status, version, from_status, to_status, after)`;

/** In the order in which they refer to each other. */
export function stages(plan: Plan): Stage[] {
  const { users, products, orders, seed, until } = plan;
  const end = `timestamptz '${until.toISOString()}'`;
  const domain = `seed${seed}.example.com`;
  return [
    {
      name: 'users',
      rows: users,
      statement: `
        WITH made AS (
          INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
          SELECT pg_temp.user_id(n), email, email, first || ' ' || last, 'user', 1, '${plan.passwordHash}',
                 pg_temp.draw('verified', n, 10) < 9, pg_temp.user_at(n), pg_temp.user_at(n), 1
            FROM generate_series($1::bigint, $2::bigint) AS n,
                 LATERAL (SELECT pg_temp.one('first', n, ${FIRST_NAMES}) AS first, pg_temp.one('last', n, ${LAST_NAMES}) AS last) AS names,
                 LATERAL (SELECT lower(unaccent(first || '.' || last)) || '.' || n || '@${domain}' AS email) AS emails
          RETURNING *
        )
        ${tell('user.created', 'made', {
          email: 'email',
          name: 'name',
          role: 'role',
          emailVerified: 'email_verified',
          createdAt: 'pg_temp.iso(created_at)',
          updatedAt: 'pg_temp.iso(updated_at)',
          version: 'version',
        })}`,
    },
    {
      name: 'products',
      rows: products,
      statement: `
        INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
        SELECT pg_temp.product_id(n), 'S${seed}-' || upper(substr(thing, 1, 3)) || '-' || lpad(n::text, 6, '0'),
               quality || ' ' || material || ' ' || thing || ' ' || brand,
               'A ' || lower(quality) || ' ' || thing || ' of ' || material || ', made by ' || brand || ' for the '
                 || pg_temp.one('room', n, ${ROOMS}) || '. It goes well with every ' || pg_temp.one('other', n, ${THINGS})
                 || ' and measures ' || 10 + pg_temp.draw('width', n, 150) || ' by ' || 10 + pg_temp.draw('depth', n, 90) || ' cm.',
               CASE pg_temp.draw('round', n, 3) WHEN 0 THEN 100 ELSE 0 END
                 + floor(exp(5.5 + pg_temp.draw('price', n, 10000) / 2000.0))::bigint / 10 * 10 + 9,
               pg_temp.currency(n),
               CASE WHEN pg_temp.draw('sold out', n, 12) = 0 THEN 0 ELSE 10 + pg_temp.draw('stock', n, 500) END,
               coalesce((ARRAY['draft', 'archived'])[1 + pg_temp.draw('status of product', n, 40)], 'active'),
               pg_temp.product_at(n), pg_temp.product_at(n), 1, 1
          FROM generate_series($1::bigint, $2::bigint) AS n,
               LATERAL (SELECT pg_temp.one('quality', n, ${QUALITIES}) AS quality, pg_temp.one('material', n, ${MATERIALS}) AS material,
                               pg_temp.one('thing', n, ${THINGS}) AS thing,
                               initcap(pg_temp.one('a', n % 1999, ${SYLLABLES}) || pg_temp.one('b', n % 1999, ${SYLLABLES})
                                 || pg_temp.one('c', n % 1999, ${SYLLABLES})) AS brand) AS made`,
    },
    {
      name: 'orders',
      rows: orders,
      statement: `
        WITH wanted AS MATERIALIZED (
          SELECT n, pg_temp.order_id(n) AS id, pg_temp.order_at(n) AS at, pg_temp.status(n) AS status, pg_temp.user_id(buyer) AS user_id
            FROM (SELECT n, pg_temp.buyer(n) AS buyer FROM generate_series($1::bigint, $2::bigint) AS n OFFSET 0) AS chosen
        ), baskets AS MATERIALIZED (
          SELECT n, item, pg_temp.product_id(bought) AS product_id, 1 + pg_temp.draw('quantity', n * 10 + item, 3)::integer AS quantity
            FROM (
                   SELECT n, item, pg_temp.bought(n, item) AS bought
                     FROM wanted CROSS JOIN generate_series(0, LEAST(pg_temp.draw('items', n, 4), ${products - 1})) AS item
                   OFFSET 0
                 ) AS chosen
        ), lines AS MATERIALIZED (
          SELECT n, item, pg_temp.id_of('item', n * 10 + item, pg_temp.order_at(n)) AS id, product_id, quantity, sku, name, price, currency
            FROM baskets JOIN products ON products.id = product_id
        ), placed AS MATERIALIZED (
          SELECT wanted.*, currency, total, items, pg_temp.number(n) AS number,
                 CASE pg_temp.draw('note', n, 10) WHEN 0 THEN 'Please ring twice' END AS note,
                 jsonb_build_object('channel', pg_temp.one('channel', n, ARRAY['web', 'app', 'phone'])) AS metadata,
                 CASE status WHEN 'pending' THEN ${end} + interval '30 days' ELSE at + interval '30 minutes' END AS expires_at
            FROM wanted JOIN (
                   SELECT n, min(currency) AS currency, sum(price * quantity)::bigint AS total,
                          jsonb_agg(${shown({
                            id: 'id',
                            productId: 'product_id',
                            sku: 'sku',
                            name: 'name',
                            quantity: 'quantity',
                            unitPrice: 'price',
                            total: 'price * quantity',
                          })} ORDER BY item) AS items
                     FROM lines GROUP BY n
                 ) AS totals USING (n)
        ), lived AS MATERIALIZED (
          SELECT placed.*, version, from_status, to_status, at + after AS changed_at FROM placed JOIN ${LIFE} ON life.status = placed.status
        ), kept AS (
          INSERT INTO orders (id, number, user_id, status, currency, total, note, metadata, created_at, updated_at, expires_at, version)
          SELECT id, number, user_id, status, currency, total, note, metadata, at, changed_at, expires_at, version
            FROM lived WHERE to_status = status
        ), contained AS (
          INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
          SELECT lines.id, wanted.id, item, product_id, sku, name, quantity, price, price * quantity FROM lines JOIN wanted USING (n)
        ), remembered AS (
          INSERT INTO order_status_changes (id, order_id, version, from_status, to_status, changed_by, created_at)
          SELECT pg_temp.id_of('change', n * 10 + version, changed_at), id, version, from_status, to_status,
                 CASE WHEN to_status IN ('pending', 'paid') THEN user_id END, changed_at
            FROM lived
        ), sent AS (
          INSERT INTO shipments (id, order_id, carrier, tracking_number, created_at)
          SELECT pg_temp.id_of('shipment', n, changed_at), id,
                 pg_temp.one('carrier', n, ARRAY['DHL', 'UPS', 'PostNord']), upper(substr(md5('parcel' || n), 1, 12)), changed_at
            FROM lived WHERE to_status = 'shipped'
        )
        ${tell(
          `CASE to_status WHEN 'pending' THEN 'order.created' ELSE 'order.' || to_status END`,
          'lived',
          {
            number: 'number',
            userId: 'user_id',
            status: 'to_status',
            currency: 'currency',
            total: 'total',
            items: 'items',
            note: 'note',
            metadata: 'metadata',
            createdAt: 'pg_temp.iso(at)',
            updatedAt: 'pg_temp.iso(changed_at)',
            expiresAt: `CASE to_status WHEN 'pending' THEN pg_temp.iso(expires_at) END`,
            version: 'version',
          },
          'changed_at',
        )}`,
    },
    {
      name: 'accounts',
      rows: orders === 0 ? 0 : users,
      first: [
        `INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
         SELECT gen_random_uuid(), kind, NULL, currency, 0, 0, ${end} - interval '730 days'
           FROM unnest(ARRAY['shop', 'outside']) AS kind, unnest(ARRAY['EUR', 'USD', 'GBP']) AS currency
         ON CONFLICT DO NOTHING`,
        `CREATE TEMPORARY TABLE spent ON COMMIT DROP AS
         SELECT n, currency, sum(total)::bigint AS total
           FROM (SELECT n, pg_temp.user_id(n) AS id FROM generate_series(1::bigint, ${users}) AS n OFFSET 0) AS buyers
                JOIN orders ON user_id = buyers.id
          WHERE ${PAID} GROUP BY n, currency`,
        `CREATE INDEX ON spent (n)`,
        `ANALYZE spent`,
        `INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
         SELECT pg_temp.account_id(n, currency), 'user', pg_temp.user_id(n), currency, 0, 0, pg_temp.user_at(n) FROM spent`,
      ],
      // Everybody has brought in what they have spent since, and a little more.
      statement: `
        WITH moved AS MATERIALIZED (
          SELECT pg_temp.id_of('deposit ' || spent.currency, n, pg_temp.user_at(n)) AS id, 'deposit' AS kind, house.id AS from_id,
                 pg_temp.account_id(n, spent.currency) AS to_id, total + 100 * pg_temp.draw('extra', n, 500) AS amount,
                 spent.currency, NULL::uuid AS by, pg_temp.user_at(n) AS at
            FROM spent JOIN accounts AS house ON house.kind = 'outside' AND house.currency = spent.currency
           WHERE n BETWEEN $1 AND $2
        ), ${BOOKED}`,
    },
    {
      name: 'payments',
      rows: orders,
      statement: `
        WITH moved AS MATERIALIZED (
          SELECT pg_temp.id_of('transfer', n, orders.created_at + interval '1 minute') AS id, 'payment' AS kind, account.id AS from_id,
                 shop.id AS to_id, total AS amount, orders.currency, orders.user_id AS by, orders.created_at + interval '1 minute' AS at,
                 n, orders.id AS order_id
            FROM (SELECT n, pg_temp.order_id(n) AS id FROM generate_series($1::bigint, $2::bigint) AS n OFFSET 0) AS wanted
                 JOIN orders USING (id)
                 JOIN accounts AS account ON account.user_id = orders.user_id AND account.currency = orders.currency
                 JOIN accounts AS shop ON shop.kind = 'shop' AND shop.currency = orders.currency
           WHERE ${PAID}
        ), paid AS (
          INSERT INTO payments (id, order_id, transfer_id, amount, currency, created_at)
          SELECT pg_temp.id_of('payment', n, at), order_id, id, amount, currency, at FROM moved
        ), ${BOOKED}`,
    },
    {
      name: 'stock',
      rows: products,
      first: [
        `CREATE TEMPORARY TABLE sold ON COMMIT DROP AS
         SELECT product_id, sum(quantity)::integer AS quantity FROM order_items JOIN orders ON orders.id = order_id
          WHERE status <> 'cancelled' GROUP BY product_id`,
        `CREATE INDEX ON sold (product_id)`,
        `ANALYZE sold`,
      ],
      // A product was made with what is left of it and all that has been taken since.
      statement: tell(
        'product.created',
        `(SELECT products.*, stock + coalesce(quantity, 0) AS stock_at_first
            FROM (SELECT pg_temp.product_id(n) AS id FROM generate_series($1::bigint, $2::bigint) AS n OFFSET 0) AS wanted
                 JOIN products USING (id) LEFT JOIN sold ON product_id = products.id) AS made`,
        {
          sku: 'sku',
          name: 'name',
          description: 'description',
          price: 'price',
          currency: 'currency',
          stock: 'stock_at_first',
          status: 'status',
          createdAt: 'pg_temp.iso(created_at)',
          updatedAt: 'pg_temp.iso(updated_at)',
          version: 'version',
        },
      ),
    },
  ];
}

const PAID = `status IN ('paid', 'shipped', 'delivered')`;

const shown = (fields: Record<string, string>): string =>
  `jsonb_build_object(${Object.entries(fields)
    .map(([name, sql]) => `'${name}', ${sql}`)
    .join()})`;

/** Writes the events of what is in `rows`: the resource as the API shows it, at the time of the change. */
function tell(type: string, rows: string, fields: Record<string, string>, at = 'created_at'): string {
  const name = type.startsWith('CASE') ? type : `'${type}'`;
  const version = 'version' in fields ? fields.version : '1';
  return `INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
    SELECT pg_temp.id_of(id::text, ${version}, ${at}), ${name}, id, ${version}, ${shown({ id: 'id', ...fields })}, ${at},
           pg_current_xact_id()::text::bigint + transaction_offset
      FROM ${rows}, (SELECT transaction_offset FROM event_feed) AS feed`;
}

/**
 * Books what is in `moved`, in the order of time, and what the accounts come to by it: what the triggers of the ledger do
 * for one entry after another, at once.
 */
const BOOKED = `transferred AS (
          INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_by, created_at)
          SELECT id, kind, from_id, to_id, amount, currency, by, at FROM moved
        ), told AS (
          ${tell(
            'transfer.created',
            'moved',
            {
              kind: 'kind',
              fromAccountId: 'from_id',
              toAccountId: 'to_id',
              amount: 'amount',
              currency: 'currency',
              note: 'NULL',
              createdAt: 'pg_temp.iso(at)',
            },
            'at',
          )}
        ), sides AS (
          SELECT 1 AS side, id, from_id AS account_id, -amount AS amount, at FROM moved
          UNION ALL
          SELECT 2, id, to_id, amount, at FROM moved
        ), entered AS (
          INSERT INTO ledger_entries (id, transfer_id, account_id, position, amount, balance_after, created_at)
          SELECT pg_temp.id_of(sides.id::text, side, at), sides.id, account_id, entries + row_number() OVER booking, amount,
                 balance + sum(amount) OVER booking, at
            FROM sides JOIN accounts ON accounts.id = account_id
          WINDOW booking AS (PARTITION BY account_id ORDER BY at, sides.id ROWS UNBOUNDED PRECEDING)
        )
        UPDATE accounts SET balance = balance + sums.amount, entries = accounts.entries + sums.entries
          FROM (SELECT account_id, sum(amount)::bigint AS amount, count(*) AS entries FROM sides GROUP BY account_id) AS sums
         WHERE accounts.id = account_id`;
