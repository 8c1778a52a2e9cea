import { IsIn, IsString } from 'class-validator';
import type { PageRequest, SortOrder } from '../database/paging.js';
import { Optional, QueryInteger } from './fields.js';

/** What every list takes. A list's own query adds `sortBy` and its filters. */
export abstract class ListQuery implements PageRequest {
  /** How many entries to answer with */
  @Optional()
  @QueryInteger(1, 100)
  limit?: number;

  /** Where the last answer ended: its `nextCursor` */
  @Optional()
  @IsString()
  cursor?: string;

  /** A page by its number, with totals; not together with `cursor` */
  @Optional()
  @QueryInteger(1, 10_000)
  page?: number;

  @Optional()
  @IsIn(['asc', 'desc'])
  sortOrder?: SortOrder;

  abstract sortBy?: string;
}

/** The filters of a list: all that its query says, apart from how to page and sort. */
export function filtersOf<Q extends ListQuery>(query: Q): Omit<Q, keyof ListQuery> {
  const { limit: _limit, cursor: _cursor, page: _page, sortBy: _sortBy, sortOrder: _sortOrder, ...filters } = query;
  return filters;
}
