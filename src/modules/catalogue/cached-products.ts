import { Injectable } from '@nestjs/common';
import { RowCache, type Stamp } from '../../cache/row-cache.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Redis } from '../../redis/redis.js';
import { Metrics } from '../../telemetry/metrics.js';
import { CatalogueRepository, type StoredProduct } from './catalogue.repository.js';
import { Product } from './product.entity.js';

/** Stands before the repository where products are read by id to be shown. Stock is read anew each time. */
@Injectable()
export class CachedProducts {
  private readonly cache: RowCache<StoredProduct, Stamp & { stock: number }>;

  constructor(
    private readonly products: CatalogueRepository,
    private readonly unitOfWork: UnitOfWork,
    redis: Redis,
    metrics: Metrics,
  ) {
    this.cache = new RowCache(
      {
        name: 'product',
        shape: 1,
        stamps: (ids) => products.stampsOf(ids),
        rows: (ids) => products.storedByIds(ids),
      },
      redis,
      metrics,
    );
  }

  async findById(id: string): Promise<Product | null> {
    // A unit of work sees what it has written itself, and nobody else must.
    if (this.unitOfWork.isRunning) return this.products.findById(id);
    const found = await this.cache.find(id);
    if (found === null) return null;
    const { stamp: _, ...columns } = found.row;
    return Object.assign(new Product(), columns, { stock: found.now.stock });
  }

  forget(id: string): Promise<void> {
    return this.cache.forget(id);
  }
}
