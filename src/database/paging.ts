import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import { MalformedError, ValidationError, type ErrorCode } from '../errors.js';
import type { ListQuery } from './select.js';

/** Rows past this are for the cursor: an offset costs the more the deeper it goes. */
const DEEPEST_OFFSET = 10_000;
const DEFAULT_LIMIT = 20;

export type SortOrder = 'asc' | 'desc';

/** What a client asks of a list, apart from its filters. */
export interface PageRequest {
  limit?: number;
  cursor?: string;
  page?: number;
  sortBy?: string;
  sortOrder?: SortOrder;
}

export interface CursorPagination {
  limit: number;
  nextCursor: string | null;
  hasNext: boolean;
}

export interface PagePagination {
  page: number;
  limit: number;
  total: number;
  totalPages: number;
  hasNext: boolean;
  hasPrev: boolean;
}

/** Some rows of a list, and how to go on from them. */
export class Page<T> {
  constructor(
    readonly items: readonly T[],
    readonly pagination: CursorPagination | PagePagination,
  ) {}

  map<U>(show: (item: T) => U): Page<U> {
    return new Page(this.items.map(show), this.pagination);
  }
}

/** What a list can be sorted by: the SQL of the key, its type, and the same key of a row that was read. */
export interface SortKey<T> {
  sql: string;
  type: 'timestamptz' | 'text' | 'bigint';
  /** Left out where the row itself does not have it: then it is read beside the row. */
  of?(row: T): Date | string | number;
}

export interface ListDefinition<T> {
  /** Cursors of one list are not good for another. */
  name: string;
  /** Of the ids; `uuid` where nothing is said. */
  idType?: 'uuid' | 'bigint';
  sortKeys: Readonly<Record<string, SortKey<T>>>;
  defaultSort: { by: string; order: SortOrder };
  /** There is always a next cursor, so that a reader who has come to the end can ask for what came since. */
  followed?: boolean;
}

/** A row's place in its list. */
export interface Position {
  key: Date | string | number;
  id: string;
}

/** Where a page starts, and how many rows it may show. */
export interface Start<M> {
  limit: number;
  sortOrder: SortOrder;
  /** The last row that was seen; undefined on the first page. */
  after: Position | undefined;
  /** What the first page found out and the next ones have to go by. */
  memo: M | undefined;
}

export class InvalidCursor extends MalformedError {
  override readonly code: ErrorCode = 'INVALID_CURSOR';
  constructor() {
    super('This cursor was not made by this server for this list, sort, filter and caller');
  }
}

/** The secrets that cursors are signed with, the same on every replica: one signs, it and those of the past are good. */
export class CursorKeys {
  /** As objects, which take a fifth of the time that the bytes would take for each signature. */
  readonly all: readonly [KeyObject, ...KeyObject[]];

  /** @param secrets the current one first */
  constructor([current, ...former]: readonly [Buffer, ...Buffer[]]) {
    this.all = [createSecretKey(current), ...former.map((secret) => createSecretKey(secret))];
  }
}

/**
 * Pages through any list. A cursor names the last row seen by its sort key and id, so the next page starts there
 * whatever was inserted meanwhile and costs what the first one did. The sort key's columns are never null and, being
 * `timestamptz(3)`, `text` or `bigint`, come back exactly as PostgreSQL compares them.
 */
@Injectable()
export class Pager {
  constructor(private readonly keys: CursorKeys) {}

  /**
   * @param scope everything else that the cursor is bound to: the filters, and who asks
   * @param memo kept in the cursor: see `start`
   * @throws InvalidCursor, ValidationError
   */
  async page<T extends { id: string }>(
    query: ListQuery<T>,
    list: ListDefinition<T>,
    request: PageRequest,
    scope: unknown,
    memo?: unknown,
  ): Promise<Page<T>> {
    const { by, order } = sortOf(list, request);
    const sortKey = list.sortKeys[by];
    if (sortKey === undefined)
      throw ValidationError.of('sortBy', `must be one of ${Object.keys(list.sortKeys).join(', ')}`);

    const direction = order === 'asc' ? 'ASC' : 'DESC';
    const id = `${query.alias}.id`;
    if (sortKey.of !== undefined) query.orderBy(sortKey.sql, direction);
    else if (sortKey.type !== 'timestamptz') query.addSelect(sortKey.sql, 'sort_key').orderBy('sort_key', direction);
    // As text, which is all that a cursor needs: else it would be made a date for each row.
    else query.addSelect(`${sortKey.sql}::text`, 'sort_key').orderBy(sortKey.sql, direction);
    query.addOrderBy(id, direction);

    if (request.page !== undefined) return this.byOffset(query, request);

    const { limit, after } = this.start(list, request, scope);
    if (after !== undefined) {
      query.andWhere(
        `(${sortKey.sql}, ${id}) ${direction === 'ASC' ? '>' : '<'} (:after::${sortKey.type}, :afterId::${list.idType ?? 'uuid'})`,
        { after: after.key, afterId: after.id },
      );
    }
    const { entities, raw } = await query.limit(limit + 1).getRawAndEntities();
    const keyOf = (row: T, index: number) =>
      sortKey.of?.(row) ?? (raw[index] as { sort_key?: string | number }).sort_key ?? '';
    return this.walked(entities, keyOf, list, request, scope, memo);
  }

  /**
   * For a list that fetches by itself: what its request, and the cursor in it, say of where to start.
   *
   * @throws InvalidCursor
   */
  start<M, T>(list: ListDefinition<T>, request: PageRequest, scope: unknown): Start<M> {
    const { limit = DEFAULT_LIMIT, cursor } = request;
    const sortOrder = sortOf(list, request).order;
    if (cursor === undefined) return { limit, sortOrder, after: undefined, memo: undefined };
    const [key, id, memo] = this.open(cursor, bindingOf(list, request, scope));
    return { limit, sortOrder, after: { key, id }, memo: memo as M | undefined };
  }

  /**
   * The page of a walk, with the cursor that goes on from it.
   *
   * @param rows one more than `limit`, where there are more
   */
  walked<T extends { id: string }>(
    rows: readonly T[],
    keyOf: (row: T, index: number) => Position['key'],
    list: ListDefinition<T>,
    request: PageRequest,
    scope: unknown,
    memo?: unknown,
  ): Page<T> {
    const { limit = DEFAULT_LIMIT } = request;
    const items = rows.slice(0, limit);
    const hasNext = rows.length > limit;
    const last = items.at(-1);
    const binding = bindingOf(list, request, scope);
    let nextCursor =
      last && (hasNext || list.followed) ? this.seal([keyOf(last, items.length - 1), last.id, memo], binding) : null;
    // Nothing new: go on asking from the same place, or from the very beginning. Under the key of today, whoever sealed it.
    if (last === undefined && list.followed) {
      nextCursor = this.seal(request.cursor === undefined ? BEGINNING : this.open(request.cursor, binding), binding);
    }
    return new Page(items, { limit, nextCursor, hasNext });
  }

  /** @throws ValidationError */
  private async byOffset<T>(
    query: ListQuery<T>,
    { page = 1, limit = DEFAULT_LIMIT, cursor }: PageRequest,
  ): Promise<Page<T>> {
    if (cursor !== undefined) throw ValidationError.of('page', 'can not be given with cursor');
    if (page * limit > DEEPEST_OFFSET) {
      throw ValidationError.of('page', `times limit must not be over ${DEEPEST_OFFSET}: use the cursor to go deeper`);
    }
    // No list joins more than one row to each of its own: nothing is counted twice, as `getCount` sorts all ids to avoid.
    const counted = await query.clone().select('count(*)', 'total').orderBy().getRawOne<{ total: number }>();
    const total = counted?.total ?? 0;
    const items = await query
      .limit(limit)
      .offset((page - 1) * limit)
      .getMany();
    const totalPages = Math.ceil(total / limit);
    return new Page(items, { page, limit, total, totalPages, hasNext: page < totalPages, hasPrev: page > 1 });
  }

  private seal(content: Content, binding: string): string {
    const payload = Buffer.from(JSON.stringify(content));
    return Buffer.concat([tagOf(this.keys.all[0], payload, binding), payload]).toString('base64url');
  }

  private open(cursor: string, binding: string): Content {
    const bytes = Buffer.from(cursor, 'base64url');
    const tag = bytes.subarray(0, TAG_BYTES);
    const payload = bytes.subarray(TAG_BYTES);
    // Node's decoder skips what is not base64url: only the one spelling that we gave out is ours.
    const ours = bytes.toString('base64url') === cursor && tag.length === TAG_BYTES;
    if (!ours || !this.keys.all.some((key) => timingSafeEqual(tag, tagOf(key, payload, binding))))
      throw new InvalidCursor();
    return JSON.parse(payload.toString()) as Content;
  }
}

const TAG_BYTES = 16;

function tagOf(key: KeyObject, payload: Buffer, binding: string): Buffer {
  const mac = createHmac('sha256', key).update(`${binding.length}:${binding}`);
  return mac.update(payload).digest().subarray(0, TAG_BYTES);
}

/**
 * Whether a page is asked for as programs do, and with none of these filters, so that its statement may be prepared. With any
 * other number of rows it would be another statement, and PostgreSQL keeps each for every connection.
 */
export const isPlain = ({ page, limit = DEFAULT_LIMIT }: PageRequest, filters: object): boolean =>
  page === undefined && limit % 10 === 0 && Object.values(filters).every((value) => value === undefined);

/** Whether it is what is asked for most: the first page of a list, in the order that the list has by itself. */
export const isFirst = ({ cursor, sortBy }: PageRequest): boolean => cursor === undefined && sortBy === undefined;

/** What is in a cursor: the last row's key and id, and the memo. */
type Content = [key: Position['key'], id: string, memo: unknown];

function sortOf<T>({ defaultSort }: ListDefinition<T>, { sortBy, sortOrder }: PageRequest) {
  return { by: sortBy ?? defaultSort.by, order: sortOrder ?? defaultSort.order };
}

/** All that a cursor is bound to. In whatever order a client wrote its parameters, they say the same. */
function bindingOf<T>(list: ListDefinition<T>, request: PageRequest, scope: unknown): string {
  const { by, order } = sortOf(list, request);
  return JSON.stringify([list.name, by, order, scope], (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  );
}

/** Before every row, upwards; a followed list is sorted by a number. */
const BEGINNING: Content = [0, NIL, undefined];
