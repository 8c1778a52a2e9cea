import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { NIL } from 'uuid';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { MalformedError, ValidationError, type ErrorCode } from '../errors.js';

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
  of(row: T): Date | string | number;
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

export class InvalidCursor extends MalformedError {
  override readonly code: ErrorCode = 'INVALID_CURSOR';
  constructor() {
    super('This cursor was not made by this server for this list, sort, filter and caller');
  }
}

/** The secret that cursors are signed with, the same on every replica. */
export class CursorKey {
  constructor(readonly secret: Buffer) {}
}

/**
 * Pages through any list. A cursor names the last row seen by its sort key and id, so the next page starts there
 * whatever was inserted meanwhile and costs what the first one did. The sort key's columns are never null and, being
 * `timestamptz(3)`, `text` or `bigint`, come back exactly as PostgreSQL compares them.
 */
@Injectable()
export class Pager {
  constructor(private readonly key: CursorKey) {}

  /**
   * @param scope everything else that the cursor is bound to: the filters, and who asks
   * @throws InvalidCursor, ValidationError
   */
  async page<T extends ObjectLiteral & { id: string }>(
    query: SelectQueryBuilder<T>,
    list: ListDefinition<T>,
    request: PageRequest,
    scope: unknown,
  ): Promise<Page<T>> {
    const { limit = DEFAULT_LIMIT, sortBy = list.defaultSort.by, sortOrder = list.defaultSort.order } = request;
    const sortKey = list.sortKeys[sortBy];
    if (sortKey === undefined)
      throw ValidationError.of('sortBy', `must be one of ${Object.keys(list.sortKeys).join(', ')}`);

    const direction = sortOrder === 'asc' ? 'ASC' : 'DESC';
    const id = `${query.alias}.id`;
    query.orderBy(sortKey.sql, direction).addOrderBy(id, direction);

    if (request.page !== undefined) return this.byOffset(query, request.page, limit, request.cursor);

    const binding = JSON.stringify([list.name, sortBy, sortOrder, scope]);
    if (request.cursor !== undefined) {
      const after = this.open(request.cursor, binding);
      query.andWhere(
        `(${sortKey.sql}, ${id}) ${direction === 'ASC' ? '>' : '<'} (:after::${sortKey.type}, :afterId::${list.idType ?? 'uuid'})`,
        {
          after: after.key,
          afterId: after.id,
        },
      );
    }
    const rows = await query.limit(limit + 1).getMany();
    const items = rows.slice(0, limit);
    const hasNext = rows.length > limit;
    const last = items.at(-1);
    let nextCursor =
      last && (hasNext || list.followed) ? this.seal({ key: sortKey.of(last), id: last.id }, binding) : null;
    // Nothing new: go on asking from the same place, or from the very beginning.
    if (last === undefined && list.followed) nextCursor = request.cursor ?? this.seal(BEGINNING, binding);
    return new Page(items, { limit, nextCursor, hasNext });
  }

  private async byOffset<T extends ObjectLiteral>(
    query: SelectQueryBuilder<T>,
    page: number,
    limit: number,
    cursor: string | undefined,
  ): Promise<Page<T>> {
    if (cursor !== undefined) throw ValidationError.of('page', 'can not be given with cursor');
    if (page * limit > DEEPEST_OFFSET) {
      throw ValidationError.of('page', `times limit must not be over ${DEEPEST_OFFSET}: use the cursor to go deeper`);
    }
    const total = await query.getCount();
    const items = await query
      .limit(limit)
      .offset((page - 1) * limit)
      .getMany();
    const totalPages = Math.ceil(total / limit);
    return new Page(items, { page, limit, total, totalPages, hasNext: page < totalPages, hasPrev: page > 1 });
  }

  private seal(position: { key: Date | string | number; id: string }, binding: string): string {
    const payload = Buffer.from(JSON.stringify([position.key, position.id]));
    return Buffer.concat([this.tag(payload, binding), payload]).toString('base64url');
  }

  private open(cursor: string, binding: string): { key: string | number; id: string } {
    const bytes = Buffer.from(cursor, 'base64url');
    const tag = bytes.subarray(0, TAG_BYTES);
    const payload = bytes.subarray(TAG_BYTES);
    // Node's decoder skips what is not base64url: only the one spelling that we gave out is ours.
    const ours = bytes.toString('base64url') === cursor && tag.length === TAG_BYTES;
    if (!ours || !timingSafeEqual(tag, this.tag(payload, binding))) throw new InvalidCursor();
    const [key, id] = JSON.parse(payload.toString()) as [string | number, string];
    return { key, id };
  }

  private tag(payload: Buffer, binding: string): Buffer {
    const bound = createHash('sha256').update(binding).digest();
    return createHmac('sha256', this.key.secret).update(bound).update(payload).digest().subarray(0, TAG_BYTES);
  }
}

const TAG_BYTES = 16;
/** Before every row, upwards; a followed list is sorted by a number. */
const BEGINNING = { key: 0, id: NIL };
