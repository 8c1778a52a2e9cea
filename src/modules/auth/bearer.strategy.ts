import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport';
import type { Request } from '../../http/request.js';
import type { Principal } from '../../permissions.js';
import { InvalidToken } from './auth.errors.js';
import { AuthService } from './auth.service.js';

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
  constructor(private readonly auth: AuthService) {
    super();
  }

  validate(token: string): Promise<Principal> {
    return this.auth.identify(token);
  }
}
