import { Injectable } from '@nestjs/common';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { may, type Principal } from '../../permissions.js';
import { anyVersion, type VersionCheck } from '../../stale-version.js';
import { EventsService, type EventType } from '../events/index.js';
import { CachedProducts } from './cached-products.js';
import { toProduct } from './catalogue.dto.js';
import { ProductNotFound } from './catalogue.errors.js';
import { CatalogueRepository } from './catalogue.repository.js';
import { DEMO_PRODUCTS } from './demo.js';
import { type NewProduct, Product, type ProductChanges } from './product.entity.js';
import { ProductListsRepository, type ProductFilters, type ShownProduct } from './product-lists.repository.js';
import { type Quantity, Shelf } from './shelf.js';
import { StockAdjustment } from './stock-adjustment.entity.js';
import { StockAdjustmentsRepository } from './stock-adjustments.repository.js';

@Injectable()
export class CatalogueService {
  constructor(
    private readonly products: CatalogueRepository,
    private readonly lists: ProductListsRepository,
    private readonly shown: CachedProducts,
    private readonly adjustments: StockAdjustmentsRepository,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @throws ForbiddenError for a status that the caller may not see; ValidationError, InvalidCursor */
  async list(filters: ProductFilters, page: PageRequest, by: Principal | undefined): Promise<Page<ShownProduct>> {
    const seesAll = may(by, 'read');
    const { status = seesAll ? undefined : 'active' } = filters;
    if (!seesAll && status !== 'active') throw new ForbiddenError('Only moderators see products that are not active');
    if (page.sortBy === 'relevance' && filters.q === undefined)
      throw ValidationError.of('sortBy', 'can be relevance only where there is a q');
    return this.lists.findPage({ ...filters, ...(status && { status }) }, page, by?.id ?? null);
  }

  /** @throws ProductNotFound, also where the caller may not know that there is one */
  async get(id: string, by: Principal | undefined): Promise<Product> {
    const product = await this.shown.findById(id);
    if (product === null || !(product.isOnSale || may(by, 'read'))) throw new ProductNotFound();
    return product;
  }

  /** @throws SkuTaken */
  create(given: NewProduct): Promise<Product> {
    return this.unitOfWork.run(() => this.insert(Product.offer(given)));
  }

  /** What is left out goes back to what it is in a new product. @throws ProductNotFound, StaleVersion, SkuTaken */
  replace(
    id: string,
    { description = '', status = 'draft', ...given }: Omit<NewProduct, 'stock'>,
    check?: VersionCheck,
  ): Promise<Product> {
    return this.update(id, { ...given, description, status }, check);
  }

  /** @throws ProductNotFound, StaleVersion, SkuTaken */
  update(id: string, changes: ProductChanges, check: VersionCheck = anyVersion): Promise<Product> {
    return this.unitOfWork.run(async () => {
      const product = await this.lock(id);
      check(product.version);
      product.revise(changes);
      return this.save(product);
    });
  }

  /** Archives it where an order names it: the order's line goes on pointing at it. @throws ProductNotFound, StaleVersion */
  async delete(id: string, check: VersionCheck = anyVersion): Promise<void> {
    await this.unitOfWork.run(async () => {
      const product = await this.lock(id);
      check(product.version);
      if (await this.products.isOrdered(id)) {
        product.archive();
        await this.save(product);
        return;
      }
      product.discontinue();
      await this.products.delete(id);
      await this.record('product.deleted', product);
    });
    await this.shown.forget(id);
  }

  /** @throws ProductNotFound, InsufficientStock, ValidationError */
  adjustStock(id: string, { delta, reason }: { delta: number; reason: string }, by: Principal): Promise<Product> {
    return this.unitOfWork.run(async () => {
      const product = await this.lock(id);
      product.adjustStock(delta);
      await this.products.update(id, { stock: product.stock, sequence: product.sequence });
      await this.adjustments.create(StockAdjustment.record({ productId: id, delta, reason, createdBy: by.id }));
      await this.record('product.stock_adjusted', product);
      return product;
    });
  }

  /**
   * Holds the products that some orders want until the unit of work ends. What is taken of them counts once `writeDown`
   * has been told.
   *
   * @param wanted what each order wants, each product once
   */
  async hold(wanted: readonly (readonly Quantity[])[]): Promise<Shelf> {
    const { held, seen } = await this.products.hold(wanted);
    return new Shelf(held, seen);
  }

  /** Writes the stock that is left, in the unit of work that holds it. */
  async writeDown(shelf: Shelf): Promise<void> {
    await this.products.writeStock(shelf.changed);
  }

  /** Gives back what was taken for an order. */
  putBack(items: readonly Quantity[]): Promise<void> {
    return this.unitOfWork.run(async () => {
      const products = await this.products.lockByIds(items.map(({ productId }) => productId));
      for (const { productId, quantity } of items) products.get(productId)?.putBack(quantity);
      await this.products.writeStock([...products.values()]);
    });
  }

  /**
   * Fills an empty catalogue with products to try the API with; replicas that start at once do it once.
   *
   * @returns how many it made
   */
  loadDemo(): Promise<number> {
    return this.unitOfWork.run(async () => {
      await this.products.lockDemo();
      if ((await this.products.count()) > 0) return 0;
      for (const given of DEMO_PRODUCTS) await this.insert(Product.offer(given));
      return DEMO_PRODUCTS.length;
    });
  }

  private async lock(id: string): Promise<Product> {
    const product = await this.products.lockById(id);
    if (product === null) throw new ProductNotFound();
    return product;
  }

  private async insert(product: Product): Promise<Product> {
    await this.products.create(product);
    await this.record('product.created', product);
    return product;
  }

  private async save(product: Product): Promise<Product> {
    // Without the stock: it is adjusted, never set.
    const { id, stock: _stock, createdAt: _createdAt, ...columns } = product;
    await this.products.update(id, columns);
    await this.record('product.updated', product);
    return product;
  }

  private record(type: EventType, product: Product): Promise<void> {
    return this.events.record(type, { id: product.id, version: product.sequence }, toProduct(product));
  }
}
