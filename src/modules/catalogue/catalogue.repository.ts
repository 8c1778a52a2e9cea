import { Injectable } from '@nestjs/common';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SkuTaken } from './catalogue.errors.js';
import { Product, type ProductStatus } from './product.entity.js';
import type { Offer, Quantity } from './shelf.js';

export interface ProductFilters {
  q?: string;
  status?: ProductStatus;
  currency?: string;
  minPrice?: number;
  maxPrice?: number;
  inStock?: boolean;
}

const LIST: ListDefinition<Product> = {
  name: 'products',
  sortKeys: {
    createdAt: { sql: 'product.createdAt', type: 'timestamptz', of: (product) => product.createdAt },
    price: { sql: 'product.price', type: 'bigint', of: (product) => product.price },
    // Whatever the case. Other than that, in the order of the database's collation.
    name: { sql: 'lower(product.name)', type: 'text' },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

/** A product as it is cached. */
export type StoredProduct = Pick<
  Product,
  | 'id'
  | 'sku'
  | 'name'
  | 'description'
  | 'price'
  | 'currency'
  | 'stock'
  | 'status'
  | 'createdAt'
  | 'updatedAt'
  | 'version'
> & { stamp: string };

/** Another for every state of a product, apart from its stock; also after a backup was restored. */
const STAMP = `version || '@' || extract(epoch FROM updated_at)::text`;

/**
 * First those that have all the words in their name or sku, shorter names before longer ones; then by how often and how
 * close together the words are. An integer, so that a cursor's comparison is exact. Where more than `MOST_RANKED` match,
 * it is another: see `findCommon`.
 */
const RELEVANCE: ListDefinition<Product> = {
  name: 'products',
  sortKeys: {
    relevance: {
      sql: `((product.titleWords @@ :search::tsquery)::integer * 1000000
             + 400000 * (ts_rank(product.titleWords, :search::tsquery, 1) + ts_rank(product.words, :search::tsquery))
            )::bigint`,
      type: 'bigint',
    },
  },
  defaultSort: { by: 'relevance', order: 'desc' },
};

/** More matches than that are not ranked one by one, nor read when there are enough without. See `findCommon`. */
const MOST_RANKED = 500;
/** So many products are looked at one after another for the next matches, before all matches are. */
const NEAR = 1000;
/** A search goes by its first words. */
const MOST_WORDS = 10;

/** What relevance is where too many match: what `findCommon` goes by, for the pages that are numbered. */
const COMMON: ListDefinition<Product> = {
  name: 'products',
  sortKeys: { relevance: { sql: '(product.titleWords @@ :search::tsquery)::integer', type: 'bigint' } },
  defaultSort: { by: 'relevance', order: 'desc' },
};

/** What a search was understood to mean. The pages that follow the first one stay with it. */
interface Search {
  /** A tsquery. */
  query: string;
  /** Whether there are too many matches to rank each. */
  isCommon?: boolean;
}

@Injectable()
export class CatalogueRepository extends Repository<Product> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Product, { products_sku_key: () => new SkuTaken() });
  }

  /** Which state the products are in, and their stock: all that has to be read anew each time. */
  stampsOf(ids: readonly string[]): Promise<{ id: string; stamp: string; stock: number }[]> {
    return this.query(`SELECT id, stock, ${STAMP} AS stamp FROM products WHERE id = ANY ($1::uuid[])`, [ids]);
  }

  storedByIds(ids: readonly string[]): Promise<StoredProduct[]> {
    return this.query(
      `SELECT id, sku, name, description, price, currency, stock, status, created_at AS "createdAt",
              updated_at AS "updatedAt", version, ${STAMP} AS stamp
         FROM products WHERE id = ANY ($1::uuid[])`,
      [ids],
    );
  }

  async findPage(filters: ProductFilters, request: PageRequest, caller: string | null): Promise<Page<Product>> {
    const scope = [filters, caller];
    if (filters.q !== undefined) return this.search(filters.q, filters, request, scope);
    return this.pager.page(await this.filtered(filters), LIST, request, scope);
  }

  private async filtered(filters: ProductFilters): Promise<SelectQueryBuilder<Product>> {
    const query = (await this.manager()).createQueryBuilder(Product, 'product');
    const { condition, values } = conditionOf(filters);
    return query.where(condition, values);
  }

  private async search(
    q: string,
    filters: ProductFilters,
    request: PageRequest,
    scope: unknown,
  ): Promise<Page<Product>> {
    const isRanked = (request.sortBy ?? 'relevance') === 'relevance';
    const list = isRanked ? RELEVANCE : LIST;
    const { memo } = request.page === undefined ? this.pager.start<Search, Product>(list, request, scope) : {};
    const search = memo ?? (await this.understand(q, isRanked));
    const isCommon = isRanked && search.isCommon === true;
    if (isCommon && request.page === undefined) return this.findCommon(search, filters, request, scope);
    const query = await this.filtered(filters);
    query.andWhere('product.words @@ :search::tsquery', { search: search.query });
    return this.pager.page(query, isCommon ? COMMON : list, request, scope, search);
  }

  /**
   * All of the words, in any order. One that no product has stands for those that begin with it, else for those that
   * are nearly the same.
   */
  private async understand(q: string, isRanked: boolean): Promise<Search> {
    const words = await this.query<{ word: string; isKnown: boolean; isBegun: boolean; nearest: string[] | null }>(
      `SELECT lexeme AS word,
              EXISTS (SELECT FROM product_words WHERE word = lexeme) AS "isKnown",
              is_begun AS "isBegun",
              CASE WHEN NOT is_begun THEN ARRAY(SELECT nearest_product_words(spelling)) END AS nearest
         FROM (
                SELECT stem.lexeme, written.lexeme AS spelling
                  FROM unnest(words_of($1)) AS stem
                       JOIN unnest(spellings_of($1)) AS written ON stem.positions[1] = ANY (written.positions)
                 ORDER BY stem.positions[1] LIMIT ${MOST_WORDS}
              ) AS wanted
              CROSS JOIN LATERAL (
                SELECT length(lexeme) > 1 AND EXISTS (
                  SELECT FROM product_words WHERE word >= lexeme AND word < lexeme || U&'\\+10FFFF'
                ) AS is_begun
              ) AS beginnings`,
      [q],
    );
    const terms = words.map(({ word, isKnown, isBegun, nearest }) => {
      if (isKnown) return quoted(word);
      if (isBegun) return `${quoted(word)}:*`;
      return nearest?.map(quoted).join(' | ') ?? '';
    });
    // Where a word is like none, nothing has them all; and an empty query finds nothing.
    if (terms.includes('')) return { query: '' };
    const query = terms.map((term) => `(${term})`).join(' & ');
    if (!isRanked) return { query };
    const matches = await this.query<object>(
      `SELECT FROM products WHERE words @@ $1::tsquery LIMIT ${MOST_RANKED + 1}`,
      [query],
    );
    return { query, isCommon: matches.length > MOST_RANKED };
  }

  /**
   * What more than `MOST_RANKED` products match says little of each of them, and ranking them would read them all. So
   * relevance is less then: first those that have all the words in their name or sku, and of them the newest (ids sort by
   * creation), however often and close together the words are. A numbered page still reads every match once, as it has to
   * count them.
   */
  private async findCommon(
    search: Search,
    filters: ProductFilters,
    request: PageRequest,
    scope: unknown,
  ): Promise<Page<Product>> {
    const { limit, sortOrder, after } = this.pager.start(RELEVANCE, request, scope);
    const isUp = sortOrder === 'asc';
    const found: Product[] = [];
    const rankOf = new Map<string, number>();
    for (const rank of isUp ? [0, 1] : [1, 0]) {
      const isPast = after !== undefined && (isUp ? rank < Number(after.key) : rank > Number(after.key));
      if (isPast || found.length > limit) continue;
      const products = await this.findTier(rank, search, filters, {
        isUp,
        after: rank === after?.key ? after.id : undefined,
        limit: limit + 1 - found.length,
      });
      for (const product of products) rankOf.set(product.id, rank);
      found.push(...products);
    }
    return this.pager.walked(found, ({ id }) => rankOf.get(id) ?? 0, RELEVANCE, request, scope, search);
  }

  /**
   * The next matches that rank the same. PostgreSQL does not know how many there are of them, as little as whether the
   * words of a name are also in the description, and would go through the whole catalogue for the last few. So it is told:
   * look at the products that come next, and only if too few of those match, begin with all matches.
   */
  private async findTier(
    rank: number,
    search: Search,
    filters: ProductFilters,
    { isUp, after, limit }: { isUp: boolean; after: string | undefined; limit: number },
  ): Promise<Product[]> {
    const order = isUp ? 'ASC' : 'DESC';
    const isBeyond = after === undefined ? 'true' : `product.id ${isUp ? '>' : '<'} :after`;
    const isInTier =
      rank === 1
        ? 'product.title_words @@ :search::tsquery'
        : 'product.words @@ :search::tsquery AND NOT product.title_words @@ :search::tsquery';
    const { condition, values } = conditionOf(filters);
    const fetch = async (candidates: string): Promise<Product[]> => {
      const query = (await this.manager()).createQueryBuilder(Product, 'product');
      const ids = `SELECT product.id FROM (${candidates}) AS product ORDER BY product.id ${order} LIMIT ${limit}`;
      query.where(`product.id IN (${ids})`, { ...values, search: search.query, after });
      return query.orderBy('product.id', order).getMany();
    };
    const near = await fetch(
      `SELECT product.id FROM (
         SELECT * FROM products AS product WHERE ${isBeyond} ORDER BY product.id ${order} LIMIT ${NEAR}
       ) AS product WHERE ${isInTier} AND ${condition}`,
    );
    if (near.length === limit) return near;
    return fetch(
      `WITH matches AS MATERIALIZED (
         SELECT product.id FROM products AS product WHERE ${isInTier} AND ${condition} AND ${isBeyond}
       ) SELECT id FROM matches`,
    );
  }

  /** Those that there are, by id. Everyone locks them in the order of the ids, so that two orders never deadlock. */
  async lockByIds(ids: readonly string[]): Promise<Map<string, Product>> {
    const products = await (
      await this.manager()
    )
      .createQueryBuilder(Product, 'product')
      .where('product.id = ANY(:ids::uuid[])', { ids })
      .orderBy('product.id')
      .setLock('for_no_key_update')
      .getMany();
    return new Map(products.map((product) => [product.id, product]));
  }

  /**
   * Locks what the orders want, as it is then; of what is wanted by orders that ask for more than there is, only what
   * can be seen without a lock.
   *
   * One statement, because everybody who wants a product waits while another holds it; and who can see without holding
   * it that there is too little left does not join the queue.
   *
   * @param wanted what each order wants, each product once
   */
  async hold(
    wanted: readonly (readonly Quantity[])[],
  ): Promise<{ held: Map<string, Offer>; seen: Map<string, Offer> }> {
    const lines = wanted.flatMap((items, place) => items.map((item) => ({ ...item, place })));
    const offers = await this.prepared<Offer & { isHeld: boolean }>(
      'hold products',
      `WITH wanted AS MATERIALIZED (
         SELECT * FROM unnest($1::integer[], $2::uuid[], $3::integer[]) AS wanted (place, id, quantity)
       ), seen AS MATERIALIZED (
         SELECT id, sku, name, price, currency, stock, status FROM products WHERE id = ANY ($2)
       ), hopeless AS MATERIALIZED (
         SELECT place FROM wanted LEFT JOIN seen USING (id)
          WHERE (stock >= quantity AND status = 'active') IS NOT TRUE
       ), held AS MATERIALIZED (
         SELECT id, sku, name, price, currency, stock, status FROM products
          WHERE id = ANY (ARRAY(SELECT id FROM wanted WHERE place NOT IN (SELECT place FROM hopeless)))
          ORDER BY id FOR NO KEY UPDATE
       )
       SELECT *, true AS "isHeld" FROM held
       UNION ALL
       SELECT *, false FROM seen WHERE EXISTS (SELECT FROM hopeless)`,
      [lines.map(({ place }) => place), lines.map(({ productId }) => productId), lines.map(({ quantity }) => quantity)],
    );
    const byId = (isHeld: boolean) =>
      new Map(offers.filter((offer) => offer.isHeld === isHeld).map((offer) => [offer.id, offer]));
    return { held: byId(true), seen: byId(false) };
  }

  /** Writes the stock of products that this unit of work has locked: what it read is still what is there. */
  async writeStock(products: readonly Pick<Product, 'id' | 'stock'>[]): Promise<void> {
    if (products.length === 0) return;
    await this.prepared(
      'write stock',
      `UPDATE products SET stock = counted.stock
         FROM unnest($1::uuid[], $2::integer[]) AS counted (id, stock)
        WHERE products.id = counted.id`,
      [products.map(({ id }) => id), products.map(({ stock }) => stock)],
    );
  }

  /**
   * Asked rather than left to the foreign key, whose refusal would break the transaction. On a locked product the
   * answer stays true: who orders it has to lock it too.
   */
  async isOrdered(id: string): Promise<boolean> {
    const [row] = await this.query<{ ordered: boolean }>(
      'SELECT EXISTS (SELECT FROM order_items WHERE product_id = $1) AS ordered',
      [id],
    );
    return row?.ordered === true;
  }

  /** Until the unit of work ends, nobody else can be loading the demonstration. */
  async lockDemo(): Promise<void> {
    await this.query(`SELECT pg_advisory_xact_lock(hashtext('stoa: demo products'))`);
  }
}

/** The filters apart from the words, in SQL. */
function conditionOf({ q: _, ...values }: ProductFilters): { condition: string; values: ObjectLiteral } {
  const conditions = ['true'];
  if (values.status !== undefined) conditions.push('product.status = :status');
  if (values.currency !== undefined) conditions.push('product.currency = :currency');
  if (values.minPrice !== undefined) conditions.push('product.price >= :minPrice');
  if (values.maxPrice !== undefined) conditions.push('product.price <= :maxPrice');
  if (values.inStock !== undefined) conditions.push(values.inStock ? 'product.stock > 0' : 'product.stock = 0');
  return { condition: conditions.join(' AND '), values };
}

/** A word as a tsquery writes it. */
const quoted = (word: string): string => `'${word.replace(/['\\]/g, '$&$&')}'`;
