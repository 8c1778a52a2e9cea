import { type ErrorDetail, ValidationError } from '../../errors.js';
import { InsufficientStock, type Shortage } from './catalogue.errors.js';
import type { Product } from './product.entity.js';

/** So many of a product, as an order asks for them. */
export interface Quantity {
  productId: string;
  quantity: number;
}

/** What an order copies of a product when it is placed. */
export interface Line extends Quantity {
  sku: string;
  name: string;
  unitPrice: number;
  currency: string;
}

/** What an order has to know of a product. */
export type Offer = Pick<Product, 'id' | 'sku' | 'name' | 'price' | 'currency' | 'stock' | 'status'>;

/** The products that some orders want, while nobody else can take of them. */
export class Shelf {
  private readonly taken = new Set<Offer>();

  /**
   * @param held those that are locked; their stock counts down here
   * @param seen those that are not, because whoever wants them wants more than there is
   */
  constructor(
    private readonly held: ReadonlyMap<string, Offer>,
    private readonly seen: ReadonlyMap<string, Offer>,
  ) {}

  /**
   * What an order of these would say, a line for each in their order. Nothing is taken yet.
   *
   * @param wanted each product once
   * @throws ValidationError for products that can not be ordered, InsufficientStock with every shortage
   */
  offer(wanted: readonly Quantity[]): Line[] {
    const offers = wanted.every(({ productId }) => this.held.has(productId)) ? this.held : this.seen;
    const unknown: ErrorDetail[] = [];
    const shortages: Shortage[] = [];
    const lines: Line[] = [];
    for (const [index, { productId, quantity }] of wanted.entries()) {
      const offer = offers.get(productId);
      if (offer?.status !== 'active') {
        unknown.push({ field: `items[${index}].productId`, message: 'is not a product that can be ordered' });
        continue;
      }
      const { sku, name, price, currency, stock } = offer;
      lines.push({ productId, sku, name, quantity, unitPrice: price, currency });
      if (stock < quantity)
        shortages.push({ field: `items[${index}].quantity`, productId, sku, requested: quantity, available: stock });
    }
    if (unknown.length > 0) throw new ValidationError('The request is not valid', unknown);
    if (shortages.length > 0) throw new InsufficientStock(shortages);
    return lines;
  }

  /** Takes what has just been offered. */
  take(lines: readonly Quantity[]): void {
    for (const { productId, quantity } of lines) {
      const offer = this.held.get(productId);
      if (offer === undefined || offer.stock < quantity) throw new Error('What is taken has to be offered first');
      offer.stock -= quantity;
      this.taken.add(offer);
    }
  }

  /** The products whose stock has become less. */
  get changed(): readonly Pick<Product, 'id' | 'stock'>[] {
    return [...this.taken];
  }
}
