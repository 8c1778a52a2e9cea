import { ConflictError, type ErrorCode, NotFoundError, ValidationError } from '../../errors.js';

export class AccountNotFound extends NotFoundError {
  constructor() {
    super('No such account');
  }
}

export class TransferNotFound extends NotFoundError {
  constructor() {
    super('No such transfer');
  }
}

export class AccountExists extends ConflictError {
  constructor() {
    super('You have an account of this currency', [{ field: 'currency', message: 'has an account already' }]);
  }
}

export class AccountClosed extends ConflictError {
  constructor() {
    super('The account is closed: its owner has been erased');
  }
}

export class AccountNotEmpty extends ConflictError {
  constructor() {
    super('An account of theirs holds money');
  }
}

export class InsufficientFunds extends ValidationError {
  override readonly code: ErrorCode = 'INSUFFICIENT_FUNDS';
  constructor(available: number, required: number) {
    super('The account does not hold enough', [{ available, required }]);
  }
}

export class CurrencyMismatch extends ValidationError {
  override readonly code: ErrorCode = 'CURRENCY_MISMATCH';
  constructor(from: string, to: string) {
    super('The currencies differ', [{ from, to }]);
  }
}

export class AmountOutOfRange extends ValidationError {
  constructor() {
    super('The amount is out of range', [{ field: 'amount', message: 'would take a balance past 2^53 − 1' }]);
  }
}
