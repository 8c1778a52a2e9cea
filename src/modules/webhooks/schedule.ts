/** How much longer than planned a wait may be: so that those who failed together do not come back together. */
const JITTER = 0.1;
const LONGEST_RETRY_AFTER_MS = 24 * 60 * 60 * 1000;

/**
 * How long to wait before the next attempt, in milliseconds; `undefined` when there is none left. Never shorter than
 * the schedule says, nor than the receiver has asked for.
 *
 * @param schedule seconds before each attempt, the first included
 * @param attempts how many there have been
 */
export function waitBefore(
  schedule: readonly number[],
  attempts: number,
  { retryAfterMs = 0, random = Math.random() }: { retryAfterMs?: number | undefined; random?: number } = {},
): number | undefined {
  const seconds = schedule[attempts];
  if (seconds === undefined) return undefined;
  return Math.round(Math.max(seconds * 1000, retryAfterMs) * (1 + JITTER * random));
}

/** What `Retry-After` asks for, in milliseconds, a day at most: RFC 9110, section 10.2.3. */
export function readRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  const text = value?.trim() ?? '';
  const wait = /^\d{1,10}$/.test(text) ? Number(text) * 1000 : /GMT$/.test(text) ? Date.parse(text) - now : NaN;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER_MS);
}
