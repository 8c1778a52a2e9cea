import { DomainError, type ErrorCode } from '../errors.js';

export class RateLimited extends DomainError {
  readonly code: ErrorCode = 'RATE_LIMITED';
  constructor(readonly retryAfter: number) {
    super(`Too many requests, try again in ${retryAfter} s`);
  }
}
