import { createHash, createHmac, createSecretKey, type KeyObject, randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Config } from '../../config.js';
import { type Role, ROLES } from '../../permissions.js';
import { InvalidToken, TokenExpired } from './auth.errors.js';

const ISSUER = 'stoa';
const AUDIENCE = 'stoa';
const LONGEST = 4096;

export interface AccessClaims {
  sub: string;
  email: string;
  roles: [Role];
  sid: string;
}

export interface RefreshClaims {
  sub: string;
  sid: string;
  jti: string;
}

/** Signs and checks tokens, as RFC 8725 advises: one algorithm, and issuer, audience and type are always checked. */
@Injectable()
export class Tokens {
  private readonly key: KeyObject;

  constructor(
    private readonly jwt: JwtService,
    private readonly config: Config,
  ) {
    // A KeyObject made once: jsonwebtoken turns a plain string into one at every call.
    this.key = createSecretKey(Buffer.from(config.jwtSecret ?? ''));
  }

  access(claims: AccessClaims): string {
    return this.sign({ ...claims, type: 'access', jti: randomUUID() }, new Date(), this.config.accessTokenTtl);
  }

  /** The same claims at the same time give the same token. */
  refresh({ sub, sid, jti }: RefreshClaims, issuedAt: Date): string {
    return this.sign({ sub, sid, jti, type: 'refresh' }, issuedAt, this.config.refreshTokenTtl);
  }

  /** The id of the token that follows this one: only we can tell it, and we need not store it. */
  successorOf(jti: string): string {
    return createHmac('sha256', this.key).update(`successor of ${jti}`).digest('base64url');
  }

  /** @throws InvalidToken, TokenExpired */
  verifyAccess(token: string): AccessClaims {
    const claims = this.verify(token, 'access');
    const [role] = claims.roles ?? [];
    if (claims.email === undefined || !ROLES.includes(role as Role)) throw new InvalidToken();
    return claims as AccessClaims;
  }

  /** @throws InvalidToken, TokenExpired */
  verifyRefresh(token: string): RefreshClaims {
    return this.verify(token, 'refresh');
  }

  private sign(claims: object, issuedAt: Date, ttl: number): string {
    const iat = Math.floor(issuedAt.getTime() / 1000);
    const payload = { ...claims, iss: ISSUER, aud: AUDIENCE, iat, exp: iat + ttl };
    return this.jwt.sign(payload, { secret: this.key as unknown as string, algorithm: 'HS256' });
  }

  private verify(token: string, type: 'access' | 'refresh'): RefreshClaims & Partial<AccessClaims> {
    if (token.length > LONGEST) throw new InvalidToken();
    let claims: RefreshClaims & Partial<AccessClaims> & { type?: string };
    try {
      claims = this.jwt.verify(token, {
        secret: this.key as unknown as string,
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: AUDIENCE,
      });
    } catch (error) {
      throw error instanceof Error && error.name === 'TokenExpiredError' ? new TokenExpired() : new InvalidToken();
    }
    if (claims.type !== type) throw new InvalidToken();
    return claims;
  }
}

/** What is stored of a token: good to recognise it by, and for nothing else. */
export const hashOf = (jti: string): string => createHash('sha256').update(jti).digest('base64url');
