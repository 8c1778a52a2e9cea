export interface Handler {
  /** The name of the controller's method. */
  name: string;
  method: string;
  /** `/api/v1/orders/{id}/payments` */
  path: string;
  isList: boolean;
}

/**
 * A name for a client's method, made of what the handler does and what it does it to: `place` at `/orders` is
 * `placeOrder`, `pay` at `/orders/{id}/payments` is `payOrder`, `history` at `/orders/{id}/history` is
 * `listOrderHistory`. A name of several words says it all already, unless it goes on with a preposition:
 * `listOfUser` at `/users/{id}/orders` is `listOrdersOfUser`. `operationId` of `@Answers` overrides it.
 */
export function operationId({ name, method, path, isList }: Handler): string {
  const segments = path.replace(/^\/api\/v\d+\//, '').split('/');
  const nouns = segments.filter((segment) => !segment.startsWith('{')).map(camelCase);
  const last = nouns.at(-1) ?? '';
  // `/orders/{id}/payments` is about one order, `/auth/email/resend` about the email.
  const isNested = nouns.length > 1 && segments.at(-2)?.startsWith('{') === true;
  const owner = isNested ? singular(nouns.at(-2) ?? '') : '';

  const [verb = '', preposition, rest = ''] = /^([a-z]+)(?:(Of|For)([A-Z]\w*))?$/.exec(name)?.slice(1) ?? [];
  if (preposition !== undefined) {
    return verb + capital(isList ? last : singular(last)) + preposition + rest;
  }
  if (name === last || name === singular(last)) {
    if (method !== 'get') return name + capital(owner);
    return (isList ? 'list' : 'get') + capital(owner) + capital(name);
  }
  if (verb === '') return name;
  if (isList) return verb + capital(owner) + capital(last);
  return verb + capital(isNested && method === 'post' ? owner : singular(last));
}

const camelCase = (text: string): string => text.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
const singular = (text: string): string => text.replace(/ies$/, 'y').replace(/(?<=[^su])s$/, '');
