/** Every code that a client can meet. `http/error.filter.ts` says which status each one is answered with. */
export type ErrorCode =
  | 'MALFORMED_REQUEST'
  | 'INVALID_CURSOR'
  | 'INVALID_IDEMPOTENCY_KEY'
  | 'UNAUTHORIZED'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_REVOKED'
  | 'TOKEN_REUSED'
  | 'INVALID_CREDENTIALS'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'CONFLICT'
  | 'EMAIL_TAKEN'
  | 'INSUFFICIENT_STOCK'
  | 'INVALID_TRANSITION'
  | 'IDEMPOTENCY_IN_PROGRESS'
  | 'PRECONDITION_FAILED'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'VALIDATION_ERROR'
  | 'INSUFFICIENT_FUNDS'
  | 'CURRENCY_MISMATCH'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'RATE_LIMITED'
  | 'INTERNAL_ERROR'
  | 'SERVICE_UNAVAILABLE';

/** What is wrong with one field, or one fact about the failure: shown to the client as it is. */
export type ErrorDetail = Readonly<Record<string, unknown>>;

/**
 * An expected failure: the request is at fault, or the state of things forbids it. It is told to the client with its
 * code, message and details. Whatever else is thrown is a defect, and is only logged.
 */
export abstract class DomainError extends Error {
  abstract readonly code: ErrorCode;

  constructor(
    message: string,
    public details?: readonly ErrorDetail[],
  ) {
    super(message);
    this.name = new.target.name;
  }

  /** The same failure of a part of a larger request: the fields that it names are found below `path`. */
  within(path: string): this {
    this.details = this.details?.map((detail) =>
      typeof detail.field === 'string' ? { ...detail, field: `${path}.${detail.field}` } : detail,
    );
    return this;
  }
}

/** The request can not be parsed. */
export class MalformedError extends DomainError {
  readonly code: ErrorCode = 'MALFORMED_REQUEST';
}

/** Nobody, or nobody we know. */
export class UnauthorizedError extends DomainError {
  readonly code: ErrorCode = 'UNAUTHORIZED';
}

/** Known, but not allowed. */
export class ForbiddenError extends DomainError {
  readonly code: ErrorCode = 'FORBIDDEN';
}

/** The resource in the URL does not exist. */
export class NotFoundError extends DomainError {
  readonly code: ErrorCode = 'NOT_FOUND';
}

/** The state of the resource forbids it. */
export class ConflictError extends DomainError {
  readonly code: ErrorCode = 'CONFLICT';
}

/** Parseable, but not acceptable: `details` names each field that is at fault. */
export class ValidationError extends DomainError {
  readonly code: ErrorCode = 'VALIDATION_ERROR';

  /** The fault of one field, which is named by its path: `items[0].quantity`. */
  static of(field: string, message: string): ValidationError {
    return new ValidationError('The request is not valid', [{ field, message }]);
  }
}

/** Not now: the client may try again after `retryAfter` seconds. */
export class UnavailableError extends DomainError {
  readonly code: ErrorCode = 'SERVICE_UNAVAILABLE';
  readonly retryAfter: number = 1;
}
