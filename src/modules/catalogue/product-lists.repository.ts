import { Injectable } from '@nestjs/common';
import { jsonObject, jsonPlain, jsonText, jsonTime, JsonView } from '../../database/json-view.js';
import { isFirst, isPlain, type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { numbered, RememberedLists, Select } from '../../database/select.js';
import { STAMP } from '../../database/stamp.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Product, type ProductStatus } from './product.entity.js';
import { understood } from './search-meaning.js';

export interface ProductFilters {
  q?: string;
  status?: ProductStatus;
  currency?: string;
  minPrice?: number;
  maxPrice?: number;
  inStock?: boolean;
}

/** A product as the API shows it. */
export interface ShownProduct {
  id: string;
  view: JsonView;
}

const LIST: ListDefinition<ShownProduct> = {
  name: 'products',
  sortKeys: {
    createdAt: { sql: 'products.created_at', type: 'timestamptz' },
    price: { sql: 'products.price', type: 'bigint' },
    // Whatever the case. Other than that, in the order of the database's collation.
    name: { sql: 'lower(products.name)', type: 'text' },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

/** What `toProduct` makes of a product. */
const SHOWN = `id, version, ${jsonObject({
  id: jsonPlain('id'),
  sku: jsonText('sku'),
  name: jsonText('name'),
  description: jsonText('description'),
  price: 'price',
  currency: jsonPlain('currency'),
  stock: 'stock',
  status: jsonPlain('status'),
  createdAt: jsonTime('created_at'),
  updatedAt: jsonTime('updated_at'),
  version: 'version',
})} AS text`;

interface ShownRow {
  id: string;
  version: number;
  text: string;
}

const toShown = ({ id, version, text }: ShownRow): ShownProduct => ({ id, view: new JsonView(text, version) });

/**
 * First those that have all the words in their name or sku, shorter names before longer ones; then by how often and how
 * close together the words are. An integer, so that a cursor's comparison is exact. Where more than `MOST_RANKED` match,
 * it is another: see `findCommon`.
 */
const RANK = `((title_words @@ search.query)::integer * 1000000
  + 400000 * (ts_rank(title_words, search.query, 1) + ts_rank(words, search.query)))::bigint`;
const RELEVANCE: ListDefinition<ShownProduct> = {
  name: 'products',
  sortKeys: { relevance: { sql: RANK, type: 'bigint' } },
  defaultSort: { by: 'relevance', order: 'desc' },
};

/** More matches than that are not ranked one by one, nor read when there are enough without. See `findCommon`. */
const MOST_RANKED = 500;
/** So many products are looked at one after another for the next matches, before all matches are. */
const NEAR = 1000;
/** What relevance is where too many match: what `findCommon` goes by, for the pages that are numbered. */
const COMMON: ListDefinition<ShownProduct> = {
  name: 'products',
  sortKeys: { relevance: { sql: '(title_words @@ search.query)::integer', type: 'bigint' } },
  defaultSort: { by: 'relevance', order: 'desc' },
};

/** What a search was understood to mean. The pages that follow the first one stay with it. */
interface Search {
  /** A tsquery. */
  query: string;
  /** Whether there are too many matches to rank each. */
  isCommon?: boolean;
}

/** Lists of products as the API shows them, and searches. */
@Injectable()
export class ProductListsRepository extends Repository<Product> {
  private readonly lists = new RememberedLists<ShownRow, ShownProduct>(`id || '@' || stock || '@' || ${STAMP}`);

  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Product);
  }

  async findPage(filters: ProductFilters, request: PageRequest, caller: string | null): Promise<Page<ShownProduct>> {
    const scope = [filters, caller];
    if (filters.q !== undefined) return this.search(filters.q, filters, request, scope);
    const isOften = hasOnePlan(filters, request);
    const query = this.filtered(filters, isOften);
    if (isOften && isFirst(request)) query.remember(JSON.stringify([filters, request]), this.lists);
    return this.pager.page(query, LIST, request, scope);
  }

  /** @param isAlike whether one plan is good whatever the values are */
  private filtered(filters: ProductFilters, isAlike: boolean): Select<ShownRow, ShownProduct> {
    const query = new Select<ShownRow, ShownProduct>(
      (sql, values) => (isAlike ? this.preparedAs(sql, values) : this.query(sql, values)),
      SHOWN,
      'products',
      toShown,
    );
    const { condition, values } = conditionOf(filters);
    return query.andWhere(condition, values);
  }

  /** Once more, and more generously, where nothing is found: what has the very words may be out of sight. */
  private async search(
    q: string,
    filters: ProductFilters,
    request: PageRequest,
    scope: unknown,
  ): Promise<Page<ShownProduct>> {
    const found = await this.searchFor(q, filters, request, scope, false);
    const { pagination } = found;
    const isNothing =
      'total' in pagination ? pagination.total === 0 : request.cursor === undefined && found.items.length === 0;
    return isNothing ? this.searchFor(q, filters, request, scope, true) : found;
  }

  private async searchFor(
    q: string,
    filters: ProductFilters,
    request: PageRequest,
    scope: unknown,
    isGenerous: boolean,
  ): Promise<Page<ShownProduct>> {
    const isRanked = (request.sortBy ?? 'relevance') === 'relevance';
    const list = isRanked ? RELEVANCE : LIST;
    const isNumbered = request.page !== undefined;
    const { memo } = isNumbered ? {} : this.pager.start<Search, ShownProduct>(list, request, scope);
    if (isRanked && !isNumbered && memo === undefined) return this.findFirst(q, filters, request, scope, isGenerous);
    const search = memo ?? (await this.understand(q, isRanked, isGenerous));
    const isCommon = isRanked && search.isCommon === true;
    if (isCommon && request.page === undefined) return this.findCommon(search, filters, request, scope);
    // Of few matches any plan begins with them all, so it need not be made anew for each search: nor may it then be made
    // for what is sought, which the fence keeps from the planner.
    const isFew = isRanked && !isCommon;
    const query = this.filtered(filters, isFew && hasOnePlan(filters, request));
    query.crossJoin(`(SELECT :query::tsquery AS query${isFew ? ' OFFSET 0' : ''}) AS search`, { query: search.query });
    query.andWhere('words @@ search.query');
    return this.pager.page(query, isCommon ? COMMON : list, request, scope, search);
  }

  /** The first page by relevance, which is the one that most see, in one statement, unless too many match. */
  private async findFirst(
    q: string,
    filters: ProductFilters,
    request: PageRequest,
    scope: unknown,
    isGenerous: boolean,
  ): Promise<Page<ShownProduct>> {
    const { limit, sortOrder } = this.pager.start(RELEVANCE, request, scope);
    const order = sortOrder === 'asc' ? 'ASC' : 'DESC';
    const { condition, values } = conditionOf(filters);
    const parameters: unknown[] = [q];
    const sql = `${understood(isGenerous)}, matches AS MATERIALIZED (
        SELECT products.* FROM search CROSS JOIN products WHERE words @@ search.query LIMIT ${MOST_RANKED + 1}
      ), size AS MATERIALIZED (
        SELECT count(*) > ${MOST_RANKED} AS "isCommon" FROM matches
      )
      SELECT search.query::text, size."isCommon", found.*
        FROM search CROSS JOIN size LEFT JOIN LATERAL (
          SELECT ${SHOWN}, ${RANK} AS rank
            FROM matches AS products
           WHERE NOT size."isCommon" AND ${numbered(condition, values, parameters)}
           ORDER BY rank ${order}, id ${order} LIMIT ${limit + 1}
        ) AS found ON true`;
    type Found = Search & ({ id: null } | (ShownRow & { rank: number }));
    const rows = await (hasOnePlan(filters, request)
      ? this.preparedAs<Found>(sql, parameters)
      : this.query<Found>(sql, parameters));
    const [{ query, isCommon } = { query: '' }] = rows;
    if (isCommon) return this.findCommon({ query, isCommon }, filters, request, scope);
    const found = rows.filter((row) => row.id !== null);
    return this.pager.walked(
      found.map((row) => toShown(row)),
      (_, index) => found[index]?.rank ?? 0,
      RELEVANCE,
      request,
      scope,
      { query },
    );
  }

  private async understand(q: string, isRanked: boolean, isGenerous: boolean): Promise<Search> {
    const count = `(
      SELECT count(*) FROM (SELECT FROM products WHERE words @@ query LIMIT ${MOST_RANKED + 1}) AS matches
    ) > ${MOST_RANKED} AS "isCommon"`;
    const [search] = await this.preparedAs<Search>(
      `${understood(isGenerous)} SELECT query::text${isRanked ? `, ${count}` : ''} FROM search`,
      [q],
    );
    return search ?? { query: '' };
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
  ): Promise<Page<ShownProduct>> {
    const { limit, sortOrder, after } = this.pager.start(RELEVANCE, request, scope);
    const isUp = sortOrder === 'asc';
    const found: ShownProduct[] = [];
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
  ): Promise<ShownProduct[]> {
    const order = isUp ? 'ASC' : 'DESC';
    const isBeyond = after === undefined ? 'true' : `id ${isUp ? '>' : '<'} :after`;
    const isInTier =
      rank === 1 ? 'title_words @@ :query::tsquery' : 'words @@ :query::tsquery AND NOT title_words @@ :query::tsquery';
    const { condition, values } = conditionOf(filters);
    const fetch = (candidates: string): Promise<ShownProduct[]> =>
      this.filtered({}, false)
        .andWhere(`id IN (SELECT id FROM (${candidates}) AS candidates ORDER BY id ${order} LIMIT ${limit})`, {
          ...values,
          query: search.query,
          after,
        })
        .orderBy('id', order)
        .getMany();
    const near = await fetch(
      `SELECT id FROM (
         SELECT * FROM products WHERE ${isBeyond} ORDER BY id ${order} LIMIT ${NEAR}
       ) AS near WHERE ${isInTier} AND ${condition}`,
    );
    if (near.length === limit) return near;
    return fetch(
      `WITH matches AS MATERIALIZED (
         SELECT id FROM products WHERE ${isInTier} AND ${condition} AND ${isBeyond}
       ) SELECT id FROM matches`,
    );
  }
}

/** The filters apart from the words, in SQL. */
function conditionOf({ q: _, ...values }: ProductFilters): { condition: string; values: Record<string, unknown> } {
  const conditions = ['true'];
  if (values.status !== undefined) conditions.push('status = :status');
  if (values.currency !== undefined) conditions.push('currency = :currency');
  if (values.minPrice !== undefined) conditions.push('price >= :minPrice');
  if (values.maxPrice !== undefined) conditions.push('price <= :maxPrice');
  if (values.inStock !== undefined) conditions.push(values.inStock ? 'stock > 0' : 'stock = 0');
  return { condition: conditions.join(' AND '), values };
}

/** With other filters than the status the best plan differs with what they are given. */
const hasOnePlan = ({ q: _, status: __, ...others }: ProductFilters, request: PageRequest): boolean =>
  isPlain(request, others);
