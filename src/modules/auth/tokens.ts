import { hash, randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { BoundedMap } from '../../bounded-map.js';
import { Config } from '../../config.js';
import { type Role, ROLES } from '../../permissions.js';
import { InvalidToken, TokenExpired } from './auth.errors.js';
import { Keys } from './keys.js';

const ISSUER = 'stoa';
const AUDIENCE = 'stoa';
const LONGEST = 4096;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
/** Verified access tokens that are remembered: about 1 KB each. */
const REMEMBERED = 20_000;

export interface AccessClaims {
  sub: string;
  email: string;
  roles: [Role];
  sid: string;
  /** The version of the user's rights that the token was made for. Travels in front of the `jti`. */
  rights: number;
}

export interface RefreshClaims {
  sub: string;
  sid: string;
  jti: string;
}

interface Payload extends RefreshClaims {
  type: 'access' | 'refresh';
  iat: number;
  exp: number;
  email?: unknown;
  roles?: unknown;
}

/**
 * Signs and checks tokens, as RFC 8725 advises: one algorithm for each key, none that the token could choose, and issuer,
 * audience, type and times always checked.
 */
@Injectable()
export class Tokens {
  private readonly verified = new BoundedMap<{ claims: AccessClaims; exp: number }>(REMEMBERED);

  constructor(
    private readonly jwt: JwtService,
    private readonly keys: Keys,
    private readonly config: Config,
  ) {}

  access({ rights, ...claims }: AccessClaims): string {
    const jti = `${rights}.${randomUUID()}`;
    return this.sign({ ...claims, type: 'access', jti }, new Date(), this.config.accessTokenTtl);
  }

  /** The same claims at the same time give a token of the same id; of the same spelling too, unless ES256 signs it. */
  refresh({ sub, sid, jti }: RefreshClaims, issuedAt: Date): string {
    return this.sign({ sub, sid, jti, type: 'refresh' }, issuedAt, this.config.refreshTokenTtl);
  }

  /**
   * The id of the token that follows this one, so that it need not be stored to be given out again. To know it is of no
   * use: a token counts by its signature. So no key goes into it, and it stays the same when the keys are changed.
   */
  successorOf(jti: string): string {
    return hash('sha256', `stoa: successor of ${jti}`, 'base64url');
  }

  /**
   * A token that was verified before is remembered for as long as it lives, and costs no signature again. None lives
   * longer than this server's tokens do, although it was made where they did: what was revoked is remembered no longer.
   *
   * @throws InvalidToken, TokenExpired
   */
  verifyAccess(token: string): AccessClaims {
    const known = this.verified.get(token);
    if (known !== undefined) {
      if (isPast(known.exp)) throw new TokenExpired();
      return known.claims;
    }
    const { sub, sid, jti, iat, exp, email, roles } = this.verify(token, 'access');
    const [role] = Array.isArray(roles) ? (roles as unknown[]) : [];
    if (typeof email !== 'string' || !ROLES.some((each) => each === role)) throw new InvalidToken();
    const rights = Number(/^\d{1,9}(?=\.)/.exec(jti)?.[0] ?? 0);
    const claims: AccessClaims = { sub, email, roles: [role as Role], sid, rights };
    const end = Math.min(exp, iat + this.config.accessTokenTtl);
    if (isPast(end)) throw new TokenExpired();
    this.verified.set(token, { claims, exp: end });
    return claims;
  }

  /** @throws InvalidToken, TokenExpired */
  verifyRefresh(token: string): RefreshClaims {
    return this.verify(token, 'refresh');
  }

  private sign(claims: object, issuedAt: Date, ttl: number): string {
    const { kid, algorithm, privateKey } = this.keys.signing;
    const iat = Math.floor(issuedAt.getTime() / 1000);
    const payload = { ...claims, iss: ISSUER, aud: AUDIENCE, iat, exp: iat + ttl };
    // jsonwebtoken takes a KeyObject, which its Nest wrapper's types forget.
    return this.jwt.sign(payload, { secret: privateKey as unknown as string, algorithm, keyid: kid });
  }

  private verify(token: string, type: Payload['type']): Payload {
    if (token.length > LONGEST) throw new InvalidToken();
    const payload = this.payloadOf(token);
    const { sub, sid, jti, iat, exp } = payload;
    const whole = isUuid(sub) && isUuid(sid) && typeof jti === 'string' && [iat, exp].every(Number.isFinite);
    if (!whole || payload.type !== type) throw new InvalidToken();
    // Last, so that "expired" is said only of what would have been good.
    if (isPast(exp)) throw new TokenExpired();
    return payload;
  }

  /** What a token says that one of our keys has signed. */
  private payloadOf(token: string): Payload {
    for (const { key, algorithm } of this.keys.candidates(headerOf(token))) {
      try {
        return this.jwt.verify<Payload>(token, {
          secret: key as unknown as string,
          algorithms: [algorithm],
          issuer: ISSUER,
          audience: AUDIENCE,
          ignoreExpiration: true,
        });
      } catch {
        // Not this key, or not for us.
      }
    }
    throw new InvalidToken();
  }
}

/** What is stored of a token: good to recognise it by, and for nothing else. */
export const hashOf = (secret: string): string => hash('sha256', secret, 'base64url');

/** @throws InvalidToken for what has no header that we understand in full */
function headerOf(token: string): { kid?: unknown; alg?: unknown } {
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString());
  } catch {
    throw new InvalidToken();
  }
  if (typeof header !== 'object' || header === null) throw new InvalidToken();
  const { typ = 'JWT', crit, ...rest } = header as { typ?: unknown; crit?: unknown };
  // RFC 7515: `crit` lists extensions that must be understood, and we know none.
  if (crit !== undefined || typeof typ !== 'string' || typ.toUpperCase() !== 'JWT') throw new InvalidToken();
  return rest;
}

const isPast = (seconds: number): boolean => seconds * 1000 <= Date.now();

const isUuid = (value: unknown): boolean => typeof value === 'string' && UUID.test(value);
