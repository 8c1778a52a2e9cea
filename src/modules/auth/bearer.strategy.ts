import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport';
import type { Request } from '../../http/request.js';
import type { Principal } from '../../permissions.js';
import { InvalidToken, TokenRevoked } from './auth.errors.js';
import { Revocations } from './revocations.js';
import { Tokens } from './tokens.js';

/** RFC 6750: the access token in the Authorization header, and nowhere else. */
class Bearer extends Strategy {
  override name = 'bearer';

  constructor(private readonly verify: (token: string, done: (error: unknown, user?: Principal) => void) => void) {
    super();
  }

  override authenticate(request: unknown): void {
    const [, token] = /^Bearer +([\w.~+/=-]+)$/i.exec((request as Request).headers.authorization ?? '') ?? [];
    if (token === undefined) {
      this.error(new InvalidToken());
      return;
    }
    this.verify(token, (error, user) => {
      if (user === undefined || error) this.error(error);
      else this.success(user);
    });
  }
}

@Injectable()
export class BearerStrategy extends PassportStrategy(Bearer, 'bearer') {
  constructor(
    private readonly tokens: Tokens,
    private readonly revocations: Revocations,
  ) {
    super();
  }

  /** Who the bearer is; asks nobody. @throws InvalidToken, TokenExpired, TokenRevoked */
  validate(token: string): Principal {
    const { sub, email, roles, sid, rights } = this.tokens.verifyAccess(token);
    if (this.revocations.isRevoked({ sid, sub, rights })) throw new TokenRevoked();
    return { id: sub, email, role: roles[0], sessionId: sid };
  }
}
