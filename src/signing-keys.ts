import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';

const PEM = /-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g;
const SHORTEST_SECRET = 32;
const SHORTEST_RSA_BITS = 2048;

/** The algorithm that a key is for, and the only one it is ever used with; undefined for a key that is not acceptable. */
export function algorithmOf(key: KeyObject): 'HS256' | 'ES256' | 'RS256' | undefined {
  if (key.type === 'secret') return 'HS256';
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= SHORTEST_RSA_BITS) return 'RS256';
  return undefined;
}

/** A private key in PEM, whose line breaks may be written `\n`; undefined where it is none that we sign with. */
export function readPrivateKey(text: string): KeyObject | undefined {
  const key = attempt(() => createPrivateKey(withLineBreaks(text)));
  return key && algorithmOf(key) ? key : undefined;
}

/**
 * Keys of the past, in any order and number: PEM blocks, private or public, one after the other, and secrets, separated
 * by commas or line breaks. Undefined where any of them is not acceptable.
 */
export function readPreviousKeys(text: string): KeyObject[] | undefined {
  const whole = withLineBreaks(text);
  const pems = [...whole.matchAll(PEM)].map(([pem, label = '']) =>
    attempt(() => (label.includes('PRIVATE') ? createPrivateKey(pem) : createPublicKey(pem))),
  );
  const secrets = whole
    .replace(PEM, ',')
    .split(/[,\r\n]/)
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '')
    .map((secret) => (secret.length >= SHORTEST_SECRET ? createSecretKey(Buffer.from(secret)) : undefined));
  const keys = [...pems, ...secrets].filter((key) => key !== undefined && algorithmOf(key) !== undefined);
  return keys.length === pems.length + secrets.length ? (keys as KeyObject[]) : undefined;
}

/** Secrets that other keys are derived from: that of the current signing key first. Of a public key there is none. */
export function secretsOf(keys: {
  jwtSecret: string | undefined;
  jwtPrivateKey: KeyObject | undefined;
  jwtPreviousKeys: readonly KeyObject[];
}): [Buffer, ...Buffer[]] {
  const [current, ...others] = [
    ...(keys.jwtPrivateKey === undefined ? [] : [secretOf(keys.jwtPrivateKey)]),
    // Beside a private key it is one of the past already.
    ...(keys.jwtSecret === undefined ? [] : [Buffer.from(keys.jwtSecret)]),
    ...keys.jwtPreviousKeys.filter(({ type }) => type !== 'public').map(secretOf),
  ];
  if (current === undefined) throw new Error('There is no key to sign with');
  return [current, ...others];
}

const secretOf = (key: KeyObject): Buffer =>
  key.type === 'private' ? key.export({ format: 'der', type: 'pkcs8' }) : key.export();

const withLineBreaks = (text: string): string => text.replaceAll('\\n', '\n');

/** What Node says of a bad key may repeat parts of it. */
function attempt(read: () => KeyObject): KeyObject | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
