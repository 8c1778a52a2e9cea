import { ConflictError, type ErrorCode, NotFoundError, UnauthorizedError } from '../../errors.js';

export class UserNotFound extends NotFoundError {
  constructor() {
    super('No such user');
  }
}

export class EmailTaken extends ConflictError {
  override readonly code: ErrorCode = 'EMAIL_TAKEN';
  constructor() {
    super('Another user has this email', [{ field: 'email', message: 'is taken' }]);
  }
}

export class WrongPassword extends UnauthorizedError {
  override readonly code: ErrorCode = 'INVALID_CREDENTIALS';
  constructor() {
    super('The current password is wrong', [{ field: 'currentPassword', message: 'is wrong' }]);
  }
}

export class LastAdmin extends ConflictError {
  constructor() {
    super('The last admin can be neither demoted nor deleted');
  }
}
