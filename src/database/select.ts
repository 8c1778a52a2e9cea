import { BoundedMap } from '../bounded-map.js';

type Direction = 'ASC' | 'DESC';

/** How a list is read: what the pager needs of TypeORM's `SelectQueryBuilder`, which is one of these, and no more. */
export interface ListQuery<T> {
  readonly alias: string;
  clone(): this;
  select(sql: string, name: string): this;
  addSelect(sql: string, name: string): this;
  andWhere(condition: string, parameters?: Record<string, unknown>): this;
  /** Without any arguments: in no order. */
  orderBy(sql?: string, direction?: Direction): this;
  addOrderBy(sql: string, direction: Direction): this;
  limit(rows: number): this;
  offset(rows: number): this;
  getMany(): Promise<T[]>;
  getRawAndEntities(): Promise<{ entities: T[]; raw: object[] }>;
  getRawOne<R extends object>(): Promise<R | undefined>;
}

interface Found<Row, T> {
  entities: T[];
  raw: Row[];
}

/** In characters, of all that is in the rows of all lists: of the first pages of 1,000 people, and as much again. */
const MOST_KEPT = 40_000_000;
/** Of one list. */
const LONGEST_KEPT = 30_000;

/**
 * What lists gave last. PostgreSQL is told in which state the rows were, and brings them only where they are not in it any
 * more: so nothing is shown that it has not just confirmed, and it need not write anew what did not change, which is most of
 * what a list costs.
 */
export class RememberedLists<Row extends object, T> {
  private readonly lists = new BoundedMap<{ state: string; found: Found<Row, T>; length: number }>(
    MOST_KEPT,
    ({ length }) => length,
  );

  /** @param stamp the SQL of a text that is another for each state of a row, and each row */
  constructor(readonly stamp: string) {}

  get(list: string): { state: string; found: Found<Row, T> } | undefined {
    return this.lists.get(list);
  }

  keep(list: string, state: string, found: Found<Row, T>): void {
    let length = 0;
    for (const row of found.raw) for (const value of Object.values(row)) length += String(value).length;
    if (length <= LONGEST_KEPT) this.lists.set(list, { state, found, length });
  }
}

/** A list in SQL, past the ORM: for one that is read so often that building a query and rows of it shows. */
export class Select<Row extends object, T> implements ListQuery<T> {
  private conditions: string[] = [];
  private values: unknown[] = [];
  private order: string[] = [];
  private bounds = '';
  private joined = '';
  private memory: { list: string; lists: RememberedLists<Row, T> } | undefined;

  /**
   * @param alias the table
   * @param toEntity of a row as it comes
   */
  constructor(
    private readonly ask: <R>(sql: string, values: unknown[]) => Promise<R[]>,
    private columns: string,
    readonly alias: string,
    private readonly toEntity: (row: Row) => T,
  ) {}

  clone(): this {
    const { conditions, values, order } = this;
    const copy = Object.create(this) as this;
    return Object.assign(copy, { conditions: [...conditions], values: [...values], order: [...order] });
  }

  select(sql: string, name: string): this {
    this.columns = `${sql} AS "${name}"`;
    return this;
  }

  addSelect(sql: string, name: string): this {
    this.columns += `, ${sql} AS "${name}"`;
    return this;
  }

  /** @param condition names its parameters as `:name` */
  andWhere(condition: string, parameters: Record<string, unknown> = {}): this {
    this.conditions.push(this.numbered(condition, parameters));
    return this;
  }

  /** @param rows of which each is put beside each row; names its parameters as `:name` */
  crossJoin(rows: string, parameters: Record<string, unknown>): this {
    this.joined += ` CROSS JOIN ${this.numbered(rows, parameters)}`;
    return this;
  }

  /**
   * Brings the rows only where they have changed since this list was asked for.
   *
   * @param list its name, another for each list
   */
  remember(list: string, lists: RememberedLists<Row, T>): this {
    this.memory = { list, lists };
    return this;
  }

  orderBy(sql?: string, direction: Direction = 'ASC'): this {
    this.order = [];
    return sql === undefined ? this : this.addOrderBy(sql, direction);
  }

  addOrderBy(sql: string, direction: Direction): this {
    this.order.push(`${sql} ${direction}`);
    return this;
  }

  limit(rows: number): this {
    this.bounds += ` LIMIT ${rows}`;
    return this;
  }

  offset(rows: number): this {
    this.bounds += ` OFFSET ${rows}`;
    return this;
  }

  async getMany(): Promise<T[]> {
    return (await this.getRawAndEntities()).entities;
  }

  async getRawAndEntities(): Promise<Found<Row, T>> {
    if (this.memory !== undefined) return this.unlessKnown(this.memory);
    return this.found(await this.ask<Row>(this.text(this.columns), this.values));
  }

  async getRawOne<R extends object>(): Promise<R | undefined> {
    return (await this.ask<R>(this.text(this.columns), this.values))[0];
  }

  private numbered(sql: string, parameters: Record<string, unknown>): string {
    return numbered(sql, parameters, this.values);
  }

  private found(raw: Row[]): Found<Row, T> {
    return { raw, entities: raw.map((row) => this.toEntity(row)) };
  }

  private async unlessKnown({ list, lists }: { list: string; lists: RememberedLists<Row, T> }): Promise<Found<Row, T>> {
    const known = lists.get(list);
    const { alias, columns, values } = this;
    const sql = `WITH page AS MATERIALIZED (${this.text(`${alias}.*`)}), state AS MATERIALIZED (
        SELECT encode(sha256(convert_to(string_agg(${lists.stamp}, ' '), 'UTF8')), 'base64') AS state FROM page AS ${alias}
      )
      SELECT state.state AS page_state, found.* FROM state LEFT JOIN LATERAL (
        SELECT ${columns} FROM page AS ${alias} WHERE state.state <> $${values.length + 1}${this.sorting}
      ) AS found ON true`;
    const rows = await this.ask<Row & { page_state: string | null }>(sql, [...values, known?.state ?? '']);
    const state = rows[0]?.page_state ?? null;
    // Of no rows there is no state.
    if (state === null) return this.found([]);
    if (state === known?.state) return known.found;
    const found = this.found(rows);
    lists.keep(list, state, found);
    return found;
  }

  private get sorting(): string {
    return this.order.length > 0 ? ` ORDER BY ${this.order.join(', ')}` : '';
  }

  private text(columns: string): string {
    const where = this.conditions.map((condition) => `(${condition})`).join(' AND ');
    return `SELECT ${columns} FROM ${this.alias}${this.joined}${where && ` WHERE ${where}`}${this.sorting}${this.bounds}`;
  }
}

/** The SQL with a number for each `:name`, whose value is put at the end of `values`. */
export const numbered = (sql: string, parameters: Record<string, unknown>, values: unknown[]): string =>
  sql.replace(/(?<!:):(\w+)/g, (_, name: string) => `$${values.push(parameters[name])}`);
