import { createHmac, createPublicKey, createSecretKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config } from '../../config.js';
import { algorithmOf } from '../../signing-keys.js';

export interface VerifyingKey {
  readonly kid: string;
  readonly algorithm: 'HS256' | 'ES256' | 'RS256';
  readonly key: KeyObject;
  /** What everybody may know of it; undefined for a secret. */
  readonly jwk: JsonWebKey | undefined;
}

/** The keys of our tokens: one signs, it and those of the past verify. Made once, so that none is parsed per token. */
@Injectable()
export class Keys {
  readonly signing: VerifyingKey & { readonly privateKey: KeyObject };
  private readonly all: readonly VerifyingKey[];

  constructor({ jwtSecret, jwtPrivateKey, jwtPreviousKeys }: Config) {
    const secret = jwtSecret === undefined ? undefined : createSecretKey(Buffer.from(jwtSecret));
    const privateKey = jwtPrivateKey ?? secret;
    if (privateKey === undefined) throw new Error('There is no key to sign with');
    this.signing = { ...verifyingKey(privateKey), privateKey };
    const others = [...(jwtPrivateKey && secret ? [secret] : []), ...jwtPreviousKeys].map(verifyingKey);
    this.all = [this.signing, ...others];
  }

  /** Those that may have signed a token with this header: exactly one where it names one, none that is not ours. */
  candidates({ kid, alg }: { kid?: unknown; alg?: unknown }): readonly VerifyingKey[] {
    return this.all.filter((key) => key.algorithm === alg && (kid === undefined || key.kid === kid));
  }

  /** RFC 7517: what others need to verify our tokens. Nothing where only a secret could. */
  publicKeys(): JsonWebKey[] {
    if (this.signing.jwk === undefined) return [];
    return this.all.map(({ jwk }) => jwk).filter((jwk) => jwk !== undefined);
  }
}

function verifyingKey(given: KeyObject): VerifyingKey {
  const algorithm = algorithmOf(given);
  if (algorithm === undefined) throw new Error('Not a key that tokens can be signed with');
  if (given.type === 'secret') {
    // No hash of the secret alone: that would be something to guess it by, without a token.
    const kid = createHmac('sha256', given).update('key id').digest('base64url').slice(0, 16);
    return { kid, algorithm, key: given, jwk: undefined };
  }
  const key = given.type === 'private' ? createPublicKey(given) : given;
  const { kty, crv, x, y, e, n } = key.export({ format: 'jwk' });
  const jwk = kty === 'EC' ? { crv, kty, x, y } : { e, kty, n };
  // RFC 7638: the members that make the key, in alphabetical order, without blanks.
  const kid = hash('sha256', JSON.stringify(jwk), 'base64url');
  return { kid, algorithm, key, jwk: { ...jwk, kid, alg: algorithm, use: 'sig' } };
}
