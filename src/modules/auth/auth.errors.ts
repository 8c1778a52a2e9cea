import { type ErrorCode, NotFoundError, UnauthorizedError, ValidationError } from '../../errors.js';

export class InvalidCredentials extends UnauthorizedError {
  override readonly code: ErrorCode = 'INVALID_CREDENTIALS';
  constructor() {
    super('Email or password is wrong');
  }
}

export class InvalidToken extends UnauthorizedError {
  constructor() {
    super('This is not a token of ours');
  }
}

export class TokenExpired extends UnauthorizedError {
  override readonly code: ErrorCode = 'TOKEN_EXPIRED';
  constructor() {
    super('The token has expired');
  }
}

export class TokenRevoked extends UnauthorizedError {
  override readonly code: ErrorCode = 'TOKEN_REVOKED';
  constructor() {
    super('The session of this token has ended, or its rights have changed');
  }
}

export class TokenReused extends UnauthorizedError {
  override readonly code: ErrorCode = 'TOKEN_REUSED';
  constructor() {
    super('This refresh token was used before: the session has been ended');
  }
}

export class SessionNotFound extends NotFoundError {
  constructor() {
    super('No such session');
  }
}

/** Unknown, used or too old: nobody is told which. */
export class BadUserToken extends ValidationError {
  constructor() {
    super('The request is not valid', [{ field: 'token', message: 'is not good any more: ask for a new one' }]);
  }
}
