/** An answer differs with who asks, and with the form of errors that they prefer. */
export const VARY = 'Authorization, Accept';

/**
 * Whether failures should go out as RFC 9457 problem details: where the client names that type, unless it likes plain
 * JSON better. A wildcard does not name it.
 */
export function prefersProblem(accept: string | undefined): boolean {
  if (accept?.toLowerCase().includes('application/problem+json') !== true) return false;
  const qualities = new Map(accept.toLowerCase().split(',').map(readRange));
  const problem = qualities.get('application/problem+json') ?? 0;
  return problem > 0 && problem >= (qualities.get('application/json') ?? 0);
}

/** A media range and its weight; one that can not be read counts as the rule's default. RFC 9110, section 12.4.2. */
function readRange(range: string): [string, number] {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return [type, /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 1];
}
