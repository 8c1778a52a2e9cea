import { DomainError, type ErrorCode } from '../errors.js';

export class RateLimited extends DomainError {
  readonly code: ErrorCode = 'RATE_LIMITED';
  /** @param limit of wrong passwords, where it is these that were too many, and not requests */
  constructor(
    readonly retryAfter: number,
    readonly limit?: number,
  ) {
    super(`Too many requests, try again in ${retryAfter} s`);
  }
}
