import { DomainError, type ErrorCode } from './errors.js';

/** The resource is no longer, or not, what the client took it for. */
export class StaleVersion extends DomainError {
  readonly code: ErrorCode = 'PRECONDITION_FAILED';
  constructor() {
    super('It has been changed since: get it again');
  }
}

/**
 * Throws where a write is not meant for this version of the resource. Called once the row is locked, so that of two
 * writers that saw the same version one wins.
 *
 * @throws StaleVersion
 */
export type VersionCheck = (version: number) => void;

/** For a write that is meant for whatever is there. */
export const anyVersion: VersionCheck = () => undefined;
