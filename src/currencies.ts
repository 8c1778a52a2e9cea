import { codes } from 'currency-codes';

/** The Caribbean guilder, of 2025, is not in the library's table yet. */
const KNOWN: ReadonlySet<string> = new Set([...codes(), 'XCG']);

/** Whether this is a currency of ISO 4217, in capitals as the standard writes it. */
export const isCurrency = (code: string): boolean => KNOWN.has(code);
