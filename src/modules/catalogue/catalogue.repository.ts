import { Injectable } from '@nestjs/common';
import type { SelectQueryBuilder } from 'typeorm';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SkuTaken } from './catalogue.errors.js';
import { Product, type ProductStatus } from './product.entity.js';

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

/** What an order has to know of a product. */
export type Offer = Pick<Product, 'id' | 'sku' | 'name' | 'price' | 'currency' | 'stock' | 'status'>;

/**
 * First those that have all the words in their name or sku, shorter names before longer ones; then by how often and how
 * close together the words are. An integer, so that a cursor's comparison is exact.
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

/** So many matches are ranked one by one, which takes some 10 µs each. See `findCommon` for what becomes of more. */
const MOST_RANKED = 1000;
/** A search goes by its first words. */
const MOST_WORDS = 10;

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
    const { status, currency, minPrice, maxPrice, inStock } = filters;
    if (status !== undefined) query.andWhere('product.status = :status', { status });
    if (currency !== undefined) query.andWhere('product.currency = :currency', { currency });
    if (minPrice !== undefined) query.andWhere('product.price >= :minPrice', { minPrice });
    if (maxPrice !== undefined) query.andWhere('product.price <= :maxPrice', { maxPrice });
    if (inStock !== undefined) query.andWhere(inStock ? 'product.stock > 0' : 'product.stock = 0');
    return query;
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
    if (isRanked && search.isCommon && request.page === undefined)
      return this.findCommon(search, filters, request, scope);
    const query = await this.filtered(filters);
    query.andWhere('product.words @@ :search::tsquery', { search: search.query });
    return this.pager.page(query, list, request, scope, search);
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
              CASE WHEN NOT is_begun THEN ARRAY(SELECT nearest_product_words(lexeme)) END AS nearest
         FROM (SELECT lexeme FROM unnest(words_of($1)) ORDER BY positions[1] LIMIT ${MOST_WORDS}) AS wanted
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
    // Sorted, so that PostgreSQL walks along an index until there are enough, or else starts from the matches.
    const matches = await this.query<object>(
      `SELECT id FROM products WHERE words @@ $1::tsquery ORDER BY id LIMIT ${MOST_RANKED + 1}`,
      [query],
    );
    return { query, isCommon: matches.length > MOST_RANKED };
  }

  /**
   * When half of the catalogue matches, ranking it would read half of the catalogue, for a rank that says little. Then
   * it is first those that have all the words in their name or sku, and of them the newest (ids sort by creation).
   */
  private async findCommon(
    search: Search,
    filters: ProductFilters,
    request: PageRequest,
    scope: unknown,
  ): Promise<Page<Product>> {
    const { limit, sortOrder, after } = this.pager.start(RELEVANCE, request, scope);
    const [direction, isBeyond] = sortOrder === 'asc' ? (['ASC', '>'] as const) : (['DESC', '<'] as const);
    const found: Product[] = [];
    const rankOf = new Map<string, number>();
    for (const rank of sortOrder === 'asc' ? [0, 1] : [1, 0]) {
      const isPast = after !== undefined && (sortOrder === 'asc' ? rank < Number(after.key) : rank > Number(after.key));
      if (isPast || found.length > limit) continue;
      const query = (await this.filtered(filters)).setParameter('search', search.query);
      if (rank === 1) query.andWhere('product.titleWords @@ :search::tsquery');
      else query.andWhere('product.words @@ :search::tsquery AND NOT product.titleWords @@ :search::tsquery');
      if (rank === after?.key) query.andWhere(`product.id ${isBeyond} :afterId`, { afterId: after.id });
      const products = await query
        .orderBy('product.id', direction)
        .limit(limit + 1 - found.length)
        .getMany();
      for (const product of products) rankOf.set(product.id, rank);
      found.push(...products);
    }
    return this.pager.walked(found, ({ id }) => rankOf.get(id) ?? 0, RELEVANCE, request, scope, search);
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
   * Takes so many of each product, where there are enough of all of them, and answers with what there was before.
   *
   * One statement, because everybody who wants a product waits while another holds it; and who can see without holding
   * it that there is too little left does not join the queue: with 600 buyers of 60 pieces on two servers the last was
   * answered after 13 s instead of 17 s (medians of four, on two cores that were busy with other things too).
   *
   * @param wanted each product once
   */
  async take(wanted: readonly { productId: string; quantity: number }[]): Promise<Map<string, Offer>> {
    const offers = await this.query<Offer>(
      `WITH wanted AS (
         SELECT * FROM unnest($1::uuid[], $2::integer[]) AS wanted (id, quantity)
       ), seen AS MATERIALIZED (
         SELECT products.*, stock >= quantity AND status = 'active' AS enough FROM products JOIN wanted USING (id)
       ), hopeful AS MATERIALIZED (
         SELECT count(*) FILTER (WHERE enough) = cardinality($1::uuid[]) AS so FROM seen
       ), held AS MATERIALIZED (
         SELECT * FROM products WHERE id = ANY ($1) AND (SELECT so FROM hopeful) ORDER BY id FOR NO KEY UPDATE
       ), taken AS (
         UPDATE products SET stock = products.stock - quantity FROM wanted
          WHERE products.id = wanted.id AND cardinality($1::uuid[]) =
            (SELECT count(*) FROM held JOIN wanted USING (id) WHERE stock >= quantity AND status = 'active')
       )
       SELECT id, sku, name, price, currency, stock, status FROM held
       UNION ALL
       SELECT id, sku, name, price, currency, stock, status FROM seen WHERE NOT (SELECT so FROM hopeful)`,
      [wanted.map(({ productId }) => productId), wanted.map(({ quantity }) => quantity)],
    );
    return new Map(offers.map((offer) => [offer.id, offer]));
  }

  /** Writes the stock of products that this unit of work has locked: what it read is still what is there. */
  async writeStock(products: readonly Product[]): Promise<void> {
    await this.query(
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

/** A word as a tsquery writes it. */
const quoted = (word: string): string => `'${word.replace(/['\\]/g, '$&$&')}'`;
