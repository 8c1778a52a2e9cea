import { type DomainError, UnavailableError, ValidationError } from '../errors.js';

/** What repositories make of the refusals of named constraints. */
export type ConstraintErrors = Readonly<Record<string, () => DomainError>>;

interface PostgresError extends Error {
  code?: string;
  constraint?: string;
}

/** Another attempt may succeed: serialization failure, deadlock. */
export function isTransient(error: unknown): boolean {
  return ['40001', '40P01'].includes(postgresError(error)?.code ?? '');
}

/** A row was held by somebody else for longer than this transaction wanted to wait. */
export const isLockTimeout = (error: unknown): boolean => postgresError(error)?.code === '55P03';

/** The domain error for the constraint that PostgreSQL named in its refusal, or the error itself. */
export function translateConstraint(error: unknown, constraints: ConstraintErrors): unknown {
  const name = postgresError(error)?.constraint;
  return name === undefined ? error : (constraints[name]?.() ?? error);
}

/**
 * What a client may know of a failure of the database that no repository has translated: that the database is away
 * (503), or that it refused a value (422). `undefined` for all else, which is a defect of ours.
 */
export function translateFailure(error: unknown): DomainError | undefined {
  const { code = '', message = '' } = postgresError(error) ?? {};
  if (message === EXHAUSTED) return new UnavailableError('All connections to the database are busy, try again');
  if (BUSY.test(code)) return new UnavailableError('The database is busy with the same, try again');
  if (AWAY.test(code) || AWAY_MESSAGES.test(message)) return new UnavailableError('The database is away, try again');
  // Class 22 is of values, 54 of their size.
  if (/^(22|54)/.test(code)) return new ValidationError('A value is outside what can be stored');
  return undefined;
}

/** Whether the database is away, or too busy for this: to try again at once would not help. */
export const isUnavailable = (error: unknown): boolean =>
  error instanceof UnavailableError || translateFailure(error) instanceof UnavailableError;

/** Lock and statement timeouts, and conflicts of transactions that all attempts ran into. */
const BUSY = /^(40001|40P01|55P03|57014)$/;

/**
 * Classes 08, 53 and 57P, a server that only reads because another has taken over, and what Node says of a broken connection.
 */
const AWAY = /^(08\w{3}|53\w{3}|57P0\d|25006|25P03|E(CONN|PIPE|HOST|NET|TIMEDOUT|NOTFOUND|AI_AGAIN)\w*)$/;
const AWAY_MESSAGES = /Connection terminated|Client has encountered a connection error/;

/** What the pool says to who has waited for one of its connections for as long as they may. */
const EXHAUSTED = 'timeout exceeded when trying to connect';

/**
 * What PostgreSQL refused a statement for, where it is not only that it goes away or comes back: a row or a disk that is
 * full, a timeout, a value. An operator wants to know, though the client is told no more than that it may try again.
 */
export function refusalOf(error: unknown): string | undefined {
  const code = postgresError(error)?.code ?? '';
  return /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P|25006)/.test(code) ? code : undefined;
}

function postgresError(error: unknown): PostgresError | undefined {
  if (!(error instanceof Error)) return undefined;
  const inner = 'driverError' in error ? error.driverError : error;
  return inner instanceof Error ? inner : undefined;
}
