import { ConflictError, NotFoundError } from '../../errors.js';

export class JobNotFound extends NotFoundError {
  constructor() {
    super('No such job: it has never been, or it is done');
  }
}

export class JobIsRunning extends ConflictError {
  constructor() {
    super('The job is being worked on at this moment');
  }
}
