import { codes } from 'currency-codes';

const KNOWN: ReadonlySet<string> = new Set(codes());

/** Whether this is a currency of ISO 4217, in capitals as the standard writes it. */
export const isCurrency = (code: string): boolean => KNOWN.has(code);
