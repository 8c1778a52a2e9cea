import { ConflictError, type ErrorCode, NotFoundError } from '../../errors.js';

export class ProductNotFound extends NotFoundError {
  constructor() {
    super('No such product');
  }
}

export class SkuTaken extends ConflictError {
  constructor() {
    super('Another product has this sku', [{ field: 'sku', message: 'is taken' }]);
  }
}

export interface Shortage {
  /** Where in the request it was asked for, if it was in a list. */
  field?: string;
  productId: string;
  sku: string;
  requested: number;
  available: number;
}

export class InsufficientStock extends ConflictError {
  override readonly code: ErrorCode = 'INSUFFICIENT_STOCK';
  constructor(shortages: readonly Shortage[]) {
    super(
      'Not enough stock',
      shortages.map((shortage) => ({ ...shortage })),
    );
  }
}
