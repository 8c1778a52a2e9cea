import { ConflictError, NotFoundError, ValidationError } from '../../errors.js';

export class WebhookNotFound extends NotFoundError {
  constructor() {
    super('No such webhook');
  }
}

export class DeliveryNotFound extends NotFoundError {
  constructor() {
    super('No such delivery of this webhook');
  }
}

export class WebhookDisabled extends ConflictError {
  constructor() {
    super('The webhook is disabled: nothing is sent until it is enabled');
  }
}

/** Not an address that we send to. */
export class RefusedUrl extends ValidationError {
  constructor(readonly reason: string) {
    super('The request is not valid', [{ field: 'url', message: reason }]);
  }
}
