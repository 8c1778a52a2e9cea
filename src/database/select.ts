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

/** A list in SQL, past the ORM: for one that is read so often that building a query and rows of it shows. */
export class Select<Row extends object, T> implements ListQuery<T> {
  private conditions: string[] = [];
  private values: unknown[] = [];
  private order: string[] = [];
  private bounds = '';
  private joined = '';

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

  async getRawAndEntities(): Promise<{ entities: T[]; raw: Row[] }> {
    const raw = await this.ask<Row>(this.text(), this.values);
    return { raw, entities: raw.map((row) => this.toEntity(row)) };
  }

  async getRawOne<R extends object>(): Promise<R | undefined> {
    return (await this.ask<R>(this.text(), this.values))[0];
  }

  private numbered(sql: string, parameters: Record<string, unknown>): string {
    return numbered(sql, parameters, this.values);
  }

  private text(): string {
    const where = this.conditions.map((condition) => `(${condition})`).join(' AND ');
    const order = this.order.join(', ');
    return `SELECT ${this.columns} FROM ${this.alias}${this.joined}${where && ` WHERE ${where}`}${order && ` ORDER BY ${order}`}${this.bounds}`;
  }
}

/** The SQL with a number for each `:name`, whose value is put at the end of `values`. */
export const numbered = (sql: string, parameters: Record<string, unknown>, values: unknown[]): string =>
  sql.replace(/(?<!:):(\w+)/g, (_, name: string) => `$${values.push(parameters[name])}`);
