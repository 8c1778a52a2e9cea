import type { components } from './schema.js';

type ErrorAnswer = components['schemas']['ErrorAnswer'];

/** A failure that the server has answered with, for those who would rather catch than look at `error`. */
export class StoaError extends Error {
  override readonly name = 'StoaError';
  readonly code: ErrorAnswer['error']['code'];
  readonly details: NonNullable<ErrorAnswer['error']['details']>;
  readonly requestId: string;

  constructor(
    { error, meta }: ErrorAnswer,
    readonly status: number,
  ) {
    super(`${error.code}: ${error.message}`);
    this.code = error.code;
    this.details = error.details ?? [];
    this.requestId = meta.requestId;
  }
}
