import { hash } from 'node:crypto';
import type { EntityManager, EntityTarget, FindOptionsOrder, FindOptionsWhere, ObjectLiteral } from 'typeorm';
import type { QueryDeepPartialEntity } from 'typeorm';
import { type ConstraintErrors, translateConstraint } from './postgres-errors.js';
import type { UnitOfWork } from './unit-of-work.js';

export interface FindManyOptions<T> {
  where?: FindOptionsWhere<T> | FindOptionsWhere<T>[];
  order?: FindOptionsOrder<T>;
  limit?: number;
  offset?: number;
}

interface Identified extends ObjectLiteral {
  id: string;
}

/**
 * The words that all repositories share. Each module's own adds its named questions to them. Every method joins the
 * running unit of work by itself.
 */
export abstract class Repository<T extends Identified> {
  /** Of the statements that are prepared as they come. */
  private readonly names = new Map<string, string>();

  protected constructor(
    protected readonly unitOfWork: UnitOfWork,
    protected readonly entity: EntityTarget<T>,
    /** What the refusals of this table's constraints mean. */
    private readonly constraints: ConstraintErrors = {},
  ) {}

  async findById(id: string): Promise<T | null> {
    return (await this.manager()).findOneBy(this.entity, { id } as FindOptionsWhere<T>);
  }

  /**
   * The row, held until the end of the unit of work: nobody else changes it meanwhile. Its key does not change either,
   * so who only refers to it by a foreign key need not wait.
   */
  async lockById(id: string): Promise<T | null> {
    const manager = await this.manager();
    return manager.findOne(this.entity, {
      where: { id } as FindOptionsWhere<T>,
      lock: { mode: 'for_no_key_update' },
    });
  }

  async findMany({ where, order, limit, offset }: FindManyOptions<T> = {}): Promise<T[]> {
    const manager = await this.manager();
    return manager.find(this.entity, {
      ...(where && { where }),
      ...(order && { order }),
      ...(limit !== undefined && { take: limit }),
      ...(offset !== undefined && { skip: offset }),
    });
  }

  async count(where: FindOptionsWhere<T> = {}): Promise<number> {
    return (await this.manager()).countBy(this.entity, where);
  }

  /** Inserts a whole row; defaults are made by the entity, not by the database. */
  async create(row: T): Promise<T> {
    await this.write((manager) => manager.insert(this.entity, row as QueryDeepPartialEntity<T>));
    return row;
  }

  /** Writes these columns of the row; `false` when it is gone. */
  async update(id: string, changes: QueryDeepPartialEntity<T>): Promise<boolean> {
    const { affected } = await this.write((manager) => manager.update(this.entity, id, changes));
    return affected === 1;
  }

  /** `false` when there was no such row. */
  async delete(id: string): Promise<boolean> {
    const { affected } = await this.write((manager) => manager.delete(this.entity, id));
    return affected === 1;
  }

  protected manager(): Promise<EntityManager> {
    return this.unitOfWork.manager();
  }

  /** One statement in SQL; its rows as they come. */
  protected query<R>(sql: string, parameters: readonly unknown[] = []): Promise<R[]> {
    return this.translated(() => this.unitOfWork.query({ text: sql, values: [...parameters] }));
  }

  /**
   * The same for a statement on a hot path, which PostgreSQL parses and plans once for each connection. Not for one whose
   * best plan differs with its parameters.
   *
   * @param name stands for this very text on every connection
   */
  protected prepared<R>(name: string, sql: string, parameters: readonly unknown[]): Promise<R[]> {
    return this.translated(() => this.unitOfWork.query({ name, text: sql, values: [...parameters] }));
  }

  /** The same where the text is put together, of which there are few. */
  protected preparedAs<R>(sql: string, parameters: readonly unknown[]): Promise<R[]> {
    let name = this.names.get(sql);
    if (name === undefined) this.names.set(sql, (name = hash('sha256', sql, 'base64url')));
    return this.prepared(name, sql, parameters);
  }

  /** The same for a statement whose rows nobody needs: it is sent, and waited for no later than by the commit. */
  protected send(name: string, sql: string, parameters: readonly unknown[]): Promise<void> {
    return this.unitOfWork.send({ name, text: sql, values: [...parameters] }, (error) =>
      translateConstraint(error, this.constraints),
    );
  }

  private async write<R>(statement: (manager: EntityManager) => Promise<R>): Promise<R> {
    return this.translated(async () => statement(await this.manager()));
  }

  private async translated<R>(statement: () => Promise<R>): Promise<R> {
    try {
      return await statement();
    } catch (error) {
      throw translateConstraint(error, this.constraints);
    }
  }
}
