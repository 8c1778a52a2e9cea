import { Injectable } from '@nestjs/common';
import { Repository } from '../../database/repository.js';
import { STAMP } from '../../database/stamp.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { SkuTaken } from './catalogue.errors.js';
import { Product } from './product.entity.js';
import type { Offer, Quantity } from './shelf.js';

/** A product as it is cached. */
export type StoredProduct = Pick<
  Product,
  | 'id'
  | 'sku'
  | 'name'
  | 'description'
  | 'price'
  | 'currency'
  | 'stock'
  | 'status'
  | 'createdAt'
  | 'updatedAt'
  | 'version'
> & { stamp: string };

@Injectable()
export class CatalogueRepository extends Repository<Product> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Product, { products_sku_key: () => new SkuTaken() });
  }

  /** Which state the products are in, and their stock: all that has to be read anew each time. */
  stampsOf(ids: readonly string[]): Promise<{ id: string; stamp: string; stock: number }[]> {
    return this.prepared(
      'stamps of products',
      `SELECT id, stock, ${STAMP} AS stamp FROM products WHERE id = ANY ($1::uuid[])`,
      [ids],
    );
  }

  storedByIds(ids: readonly string[]): Promise<StoredProduct[]> {
    return this.prepared(
      'read products',
      `SELECT id, sku, name, description, price, currency, stock, status, created_at AS "createdAt",
              updated_at AS "updatedAt", version, ${STAMP} AS stamp
         FROM products WHERE id = ANY ($1::uuid[])`,
      [ids],
    );
  }

  /** Those that there are, by id. Everyone locks them in the order of the ids, so that two orders never deadlock. */
  async lockByIds(ids: readonly string[]): Promise<Map<string, Product>> {
    const products = await (
      await this.manager()
    )
      .createQueryBuilder(Product, 'product')
      .where('product.id = ANY(:ids::uuid[])', { ids })
      .orderBy('product.id')
      .setLock('for_no_key_update')
      .getMany();
    return new Map(products.map((product) => [product.id, product]));
  }

  /**
   * Locks what the orders want, as it is then; of what is wanted by orders that ask for more than there is, only what
   * can be seen without a lock.
   *
   * One statement, because everybody who wants a product waits while another holds it; and who can see without holding
   * it that there is too little left does not join the queue.
   *
   * @param wanted what each order wants, each product once
   */
  async hold(
    wanted: readonly (readonly Quantity[])[],
  ): Promise<{ held: Map<string, Offer>; seen: Map<string, Offer> }> {
    const lines = wanted.flatMap((items, place) => items.map((item) => ({ ...item, place })));
    const offers = await this.prepared<Offer & { isHeld: boolean }>(
      'hold products',
      `WITH wanted AS MATERIALIZED (
         SELECT * FROM unnest($1::integer[], $2::uuid[], $3::integer[]) AS wanted (place, id, quantity)
       ), seen AS MATERIALIZED (
         SELECT id, sku, name, price, currency, stock, status FROM products WHERE id = ANY ($2)
       ), hopeless AS MATERIALIZED (
         SELECT place FROM wanted LEFT JOIN seen USING (id)
          WHERE (stock >= quantity AND status = 'active') IS NOT TRUE
       ), held AS MATERIALIZED (
         SELECT id, sku, name, price, currency, stock, status FROM products
          WHERE id = ANY (ARRAY(SELECT id FROM wanted WHERE place NOT IN (SELECT place FROM hopeless)))
          ORDER BY id FOR NO KEY UPDATE
       )
       SELECT *, true AS "isHeld" FROM held
       UNION ALL
       SELECT *, false FROM seen WHERE EXISTS (SELECT FROM hopeless)`,
      [lines.map(({ place }) => place), lines.map(({ productId }) => productId), lines.map(({ quantity }) => quantity)],
    );
    const byId = (isHeld: boolean) =>
      new Map(offers.filter((offer) => offer.isHeld === isHeld).map((offer) => [offer.id, offer]));
    return { held: byId(true), seen: byId(false) };
  }

  /** Writes the stock of products that this unit of work has locked: what it read is still what is there. */
  async writeStock(products: readonly Pick<Product, 'id' | 'stock'>[]): Promise<void> {
    if (products.length === 0) return;
    await this.send(
      'write stock',
      `UPDATE products SET stock = counted.stock
         FROM unnest($1::uuid[], $2::integer[]) AS counted (id, stock)
        WHERE products.id = counted.id`,
      [products.map(({ id }) => id), products.map(({ stock }) => stock)],
    );
  }

  /**
   * Asked rather than left to the foreign key, whose refusal would break the transaction. On a locked product the
   * answer stays true: who orders it has to lock it too.
   */
  async isOrdered(id: string): Promise<boolean> {
    const [row] = await this.query<{ ordered: boolean }>(
      'SELECT EXISTS (SELECT FROM order_items WHERE product_id = $1) AS ordered',
      [id],
    );
    return row?.ordered === true;
  }

  /** Until the unit of work ends, nobody else can be loading the demonstration. */
  async lockDemo(): Promise<void> {
    await this.query(`SELECT pg_advisory_xact_lock(hashtext('stoa: demo products'))`);
  }
}
