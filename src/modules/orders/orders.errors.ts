import { ConflictError, type ErrorCode, NotFoundError, ValidationError } from '../../errors.js';

export class OrderNotFound extends NotFoundError {
  constructor() {
    super('No such order');
  }
}

export class InvalidTransition extends ConflictError {
  override readonly code: ErrorCode = 'INVALID_TRANSITION';
  constructor(from: string, to: string, allowed: readonly string[]) {
    super(`An order that is ${from} can not become ${to}`, [{ from, to, allowed }]);
  }
}

export class RefundTooLarge extends ValidationError {
  constructor(left: number) {
    super('The request is not valid', [
      { field: 'amount', message: `must not be over the ${left} that are left`, left },
    ]);
  }
}

export class OrderNotPending extends ConflictError {
  constructor(status: string) {
    super(`An order that is ${status} can not be changed any more`);
  }
}

export class OrdersUndelivered extends ConflictError {
  constructor() {
    super('A paid order of theirs is not delivered');
  }
}

export class CurrenciesDiffer extends ValidationError {
  override readonly code: ErrorCode = 'CURRENCY_MISMATCH';
  constructor(currencies: readonly string[]) {
    const details = currencies.map((currency, index) => ({
      field: `items[${index}].productId`,
      message: `is priced in ${currency}`,
    }));
    super(
      'All items of an order must have one currency',
      details.filter((_, index) => currencies[index] !== currencies[0]),
    );
  }
}

export class TotalOutOfRange extends ValidationError {
  constructor() {
    super('The request is not valid', [{ field: 'items', message: 'come to a total past 2^53 − 1' }]);
  }
}
