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
  protected constructor(
    private readonly unitOfWork: UnitOfWork,
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
  protected async query<R>(sql: string, parameters: readonly unknown[] = []): Promise<R[]> {
    return this.write(async (manager) => {
      const result: unknown = await manager.query(sql, [...parameters]);
      // For UPDATE and DELETE TypeORM answers with [rows, count].
      const isWrite =
        Array.isArray(result) && result.length === 2 && Array.isArray(result[0]) && typeof result[1] === 'number';
      return (isWrite ? result[0] : result) as R[];
    });
  }

  private async write<R>(statement: (manager: EntityManager) => Promise<R>): Promise<R> {
    try {
      return await statement(await this.manager());
    } catch (error) {
      throw translateConstraint(error, this.constraints);
    }
  }
}
