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

/** Rows that are made in one transaction after another. */
export interface Stage {
  name: string;
  rows: number;
  batch: number;
  /** Those that it fills. */
  tables: readonly string[];
  /** Each makes the rows from $1 to $2, counted from 1. */
  statements: readonly string[];
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
  const define = (signature: string, returns: string, body: string): string =>
    `CREATE FUNCTION pg_temp.${signature} RETURNS ${returns} LANGUAGE sql IMMUTABLE AS $$ SELECT ${body} $$`;
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
      `(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(what || ':${seed}:' || n::text), 1, 3)
        || '8' || substr(md5(what || ':${seed}:' || n::text), 4, 15))::uuid`,
    ),
    define('user_at(n bigint)', 'timestamptz', daysBefore(`(730 - 365 * (n::float8 / ${users + 1}))`)),
    define('product_at(n bigint)', 'timestamptz', daysBefore(`(730 - 365 * (n::float8 / ${products + 1}))`)),
    define('order_at(n bigint)', 'timestamptz', daysBefore(`(365 - 365 * (n::float8 / ${orders + 1}))`)),
    define('user_id(n bigint)', 'uuid', `pg_temp.id_of('user', n, pg_temp.user_at(n))`),
    define('product_id(n bigint)', 'uuid', `pg_temp.id_of('product', n, pg_temp.product_at(n))`),
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
      batch: 5000,
      tables: ['users'],
      statements: [
        `INSERT INTO users (id, email, email_key, name, role, rights_version, password_hash, email_verified, created_at, updated_at, version)
         SELECT pg_temp.user_id(n), email, email, first || ' ' || last, 'user', 1, '${plan.passwordHash}',
                pg_temp.draw('verified', n, 10) < 9, pg_temp.user_at(n), pg_temp.user_at(n), 1
           FROM generate_series($1::bigint, $2::bigint) AS n,
                LATERAL (SELECT pg_temp.one('first', n, ${FIRST_NAMES}) AS first, pg_temp.one('last', n, ${LAST_NAMES}) AS last) AS names,
                LATERAL (SELECT lower(unaccent(first || '.' || last)) || '.' || n || '@${domain}' AS email) AS emails`,
      ],
    },
    {
      name: 'products',
      rows: products,
      batch: 1000,
      tables: ['products', 'product_words'],
      statements: [
        `INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
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
      ],
    },
    {
      name: 'orders',
      rows: orders,
      batch: 5000,
      tables: ['orders', 'order_items', 'order_status_changes', 'shipments'],
      statements: [
        `WITH wanted AS MATERIALIZED (
           SELECT n, pg_temp.order_id(n) AS id, pg_temp.order_at(n) AS at, pg_temp.status(n) AS status,
                  pg_temp.user_id(pg_temp.buyer(n)) AS user_id
             FROM generate_series($1::bigint, $2::bigint) AS n
         ), baskets AS MATERIALIZED (
           SELECT n, item, pg_temp.product_id(pg_temp.bought(n, item)) AS product_id,
                  1 + pg_temp.draw('quantity', n * 10 + item, 3)::integer AS quantity
             FROM wanted CROSS JOIN generate_series(0, LEAST(pg_temp.draw('items', n, 4), ${products - 1})) AS item
         ), lines AS MATERIALIZED (
           SELECT n, item, product_id, quantity, sku, name, price, currency FROM baskets JOIN products ON products.id = product_id
         ), totals AS (
           SELECT n, min(currency) AS currency, sum(price * quantity)::bigint AS total FROM lines GROUP BY n
         ), placed AS (
           INSERT INTO orders (id, number, user_id, status, currency, total, note, metadata, created_at, updated_at, expires_at, version)
           SELECT id, pg_temp.number(n), user_id, wanted.status, currency, total,
                  CASE pg_temp.draw('note', n, 10) WHEN 0 THEN 'Please ring twice' END,
                  jsonb_build_object('channel', pg_temp.one('channel', n, ARRAY['web', 'app', 'phone'])), at, at + after,
                  CASE wanted.status WHEN 'pending' THEN ${end} + interval '30 days' ELSE at + interval '30 minutes' END, version
             FROM wanted JOIN totals USING (n) JOIN ${LIFE} ON life.status = wanted.status AND life.to_status = wanted.status
         ), remembered AS (
           INSERT INTO order_status_changes (id, order_id, version, from_status, to_status, changed_by, created_at)
           SELECT pg_temp.id_of('change', n * 10 + version, at + after), id, version, from_status, to_status,
                  CASE WHEN to_status IN ('pending', 'paid') THEN user_id END, at + after
             FROM wanted JOIN ${LIFE} ON life.status = wanted.status
         ), sent AS (
           INSERT INTO shipments (id, order_id, carrier, tracking_number, created_at)
           SELECT pg_temp.id_of('shipment', n, at + interval '1 day'), id,
                  pg_temp.one('carrier', n, ARRAY['DHL', 'UPS', 'PostNord']), upper(substr(md5('parcel' || n), 1, 12)),
                  at + interval '1 day'
             FROM wanted WHERE status IN ('shipped', 'delivered')
         )
         INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
         SELECT pg_temp.id_of('item', n * 10 + item, at), id, item, product_id, sku, name, quantity, price, price * quantity
           FROM lines JOIN wanted USING (n)`,
      ],
    },
    {
      name: 'accounts',
      rows: orders === 0 ? 0 : users,
      batch: 500,
      tables: ['accounts', 'transfers', 'ledger_entries'],
      statements: [
        `INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
         SELECT gen_random_uuid(), kind, NULL, currency, 0, 0, ${end} - interval '730 days'
           FROM unnest(ARRAY['shop', 'outside']) AS kind, unnest(ARRAY['EUR', 'USD', 'GBP']) AS currency
         ON CONFLICT DO NOTHING`,
        // Everybody has brought in what they have spent since, and a little more.
        `WITH spent AS (
           SELECT n, currency, sum(total)::bigint AS total
             FROM (
                    SELECT n, pg_temp.user_id(n) AS id FROM generate_series($1::bigint, $2::bigint) AS n OFFSET 0
                  ) AS buyers JOIN orders ON user_id = buyers.id
            WHERE status IN ('paid', 'shipped', 'delivered') GROUP BY n, currency
         ), opened AS (
           INSERT INTO accounts (id, kind, user_id, currency, balance, entries, created_at)
           SELECT pg_temp.id_of('account ' || currency, n, pg_temp.user_at(n)), 'user', pg_temp.user_id(n), currency, 0, 0, pg_temp.user_at(n)
             FROM spent
         )
         INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
         SELECT pg_temp.id_of('deposit ' || spent.currency, n, pg_temp.user_at(n)), 'deposit', house.id,
                pg_temp.id_of('account ' || spent.currency, n, pg_temp.user_at(n)), total + 100 * pg_temp.draw('extra', n, 500), spent.currency, pg_temp.user_at(n)
           FROM spent JOIN accounts AS house ON house.kind = 'outside' AND house.currency = spent.currency`,
        bookTransfers(`SELECT pg_temp.id_of('deposit ' || currency, n, pg_temp.user_at(n))
           FROM generate_series($1::bigint, $2::bigint) AS n, unnest(ARRAY['EUR', 'USD', 'GBP']) AS currency`),
      ],
    },
    {
      name: 'payments',
      rows: orders,
      batch: 500,
      tables: ['accounts', 'transfers', 'ledger_entries', 'payments'],
      statements: [
        `WITH paid AS (
           SELECT n, orders.*, orders.created_at + interval '1 minute' AS paid_at
             FROM (
                    SELECT n, pg_temp.order_id(n) AS id FROM generate_series($1::bigint, $2::bigint) AS n OFFSET 0
                  ) AS wanted JOIN orders USING (id)
            WHERE status IN ('paid', 'shipped', 'delivered')
         ), moved AS (
           INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_by, created_at)
           SELECT pg_temp.id_of('transfer', n, paid_at), 'payment', account.id, shop.id, total, paid.currency, paid.user_id, paid_at
             FROM paid JOIN accounts AS account ON account.user_id = paid.user_id AND account.currency = paid.currency
                  JOIN accounts AS shop ON shop.kind = 'shop' AND shop.currency = paid.currency
         )
         INSERT INTO payments (id, order_id, transfer_id, amount, currency, created_at)
         SELECT pg_temp.id_of('payment', n, paid_at), id, pg_temp.id_of('transfer', n, paid_at), total, currency, paid_at FROM paid`,
        bookTransfers(`SELECT pg_temp.id_of('transfer', n, pg_temp.order_at(n) + interval '1 minute')
           FROM generate_series($1::bigint, $2::bigint) AS n`),
      ],
    },
  ];
}

/** Balances and positions are the database's own to count: its triggers are at work here as everywhere. */
function bookTransfers(ids: string): string {
  return `INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at, balance_after, position)
    SELECT pg_temp.id_of('entry ' || side, hashtextextended(transfers.id::text, 0), transfers.created_at), transfers.id,
           CASE side WHEN 'from' THEN from_account_id ELSE to_account_id END,
           CASE side WHEN 'from' THEN -amount ELSE amount END, transfers.created_at, 0, 0
      FROM (${ids} OFFSET 0) AS wanted (id) JOIN transfers ON transfers.id = wanted.id, unnest(ARRAY['from', 'to']) AS side
     ORDER BY transfers.id`;
}
