import { Injectable } from '@nestjs/common';
import { RowCache, type Stamp } from '../../cache/row-cache.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Redis } from '../../redis/redis.js';
import { Metrics } from '../../telemetry/metrics.js';
import { User } from './user.entity.js';
import { UsersRepository } from './users.repository.js';

/** Stands before the repository where users are read by id to be shown. It never holds a hash, nor an erased user. */
@Injectable()
export class CachedUsers {
  private readonly cache: RowCache<Stamp, Stamp>;

  constructor(
    private readonly users: UsersRepository,
    private readonly unitOfWork: UnitOfWork,
    redis: Redis,
    metrics: Metrics,
  ) {
    this.cache = new RowCache(
      {
        name: 'user',
        shape: 2,
        stamps: (ids) => users.stampsOf(ids),
        rows: (ids) => users.storedByIds(ids),
      },
      redis,
      metrics,
    );
  }

  async findById(id: string): Promise<User | null> {
    // A unit of work sees what it has written itself, and nobody else must.
    if (this.unitOfWork.isRunning) return this.users.findById(id);
    const found = await this.cache.find(id);
    if (found === null) return null;
    const { stamp: _, ...columns } = found.row;
    return Object.assign(new User(), columns);
  }

  forget(id: string): Promise<void> {
    return this.cache.forget(id);
  }
}
