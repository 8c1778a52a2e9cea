/** There is no use in trying this job again: it is dead at once, whatever attempts it has left. */
export class PermanentFailure extends Error {}

/** Shorter ones are words such as `de` or `true`, which would tear holes into any message. */
const SHORTEST_SECRET = 6;
const LONGEST_MESSAGE = 500;

/**
 * What may be kept and shown of a failure: its message, in which nothing of the payload is left. A payload may hold
 * links with tokens and addresses, and the other side of a connection likes to quote what it was sent.
 */
export function describeFailure(error: unknown, payload: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const told = secretsOf(payload).reduce((text, secret) => text.replaceAll(secret, '[…]'), message);
  // eslint-disable-next-line no-control-regex
  const line = told.replaceAll(/[\x00-\x1f\x7f]+/g, ' ').trim();
  return line.slice(0, LONGEST_MESSAGE) || 'Failed without a message';
}

/** Every text of the payload and, of a link, each value of its query and its path as well; the longest first. */
function secretsOf(payload: unknown): string[] {
  const texts = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === 'string') {
      texts.add(value);
      if (URL.canParse(value)) {
        const { pathname, searchParams, hash } = new URL(value);
        for (const part of [...pathname.split('/'), ...searchParams.values(), hash.slice(1)]) texts.add(part);
      }
    } else if (typeof value === 'object' && value !== null) {
      Object.values(value).forEach(collect);
    }
  };
  collect(payload);
  return [...texts].filter((text) => text.length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length);
}
