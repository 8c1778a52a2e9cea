import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config } from '../../config.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { networkOf } from '../../limits/network.js';
import type { Principal, Role } from '../../permissions.js';
import { EventsService } from '../events/index.js';
import { UsersService } from '../users/index.js';
import { InvalidCredentials, TokenReused, TokenRevoked } from './auth.errors.js';
import { Session } from './session.entity.js';
import { SessionsRepository } from './sessions.repository.js';
import { type AccessClaims, hashOf, type RefreshClaims, Tokens } from './tokens.js';

/** From where somebody logs in. */
export interface Origin {
  ip: string | null;
  userAgent: string | null;
}

type Account = Awaited<ReturnType<UsersService['create']>>;

export interface TokenPair {
  accessToken: string;
  refreshToken: string;
  user: Account;
}

@Injectable()
export class AuthService {
  constructor(
    private readonly users: UsersService,
    private readonly sessions: SessionsRepository,
    private readonly tokens: Tokens,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {}

  /** @throws EmailTaken */
  register(given: { email: string; name: string; password: string }, origin: Origin): Promise<TokenPair> {
    // One unit of work: it begins with its first statement, which is after the password has been hashed.
    return this.unitOfWork.run(async () => this.begin(await this.users.create(given), origin));
  }

  /** @throws InvalidCredentials */
  async login(email: string, password: string, origin: Origin): Promise<TokenPair> {
    const user = await this.users.authenticate(email, password);
    if (user === null) throw new InvalidCredentials();
    return this.unitOfWork.run(() => this.begin(user, origin));
  }

  /** Whether there is a session of this email's user that was begun from the same network. */
  async hasLoggedInFrom(email: string, ip: string | null): Promise<boolean> {
    if (ip === null) return false;
    const user = await this.users.findByEmail(email);
    const ips = user === null ? [] : await this.sessions.ipsOf(user.id);
    return ips.some((each) => networkOf(each) === networkOf(ip));
  }

  /**
   * Spends the refresh token and gives its successor. The token spent last gets the same successor once more within
   * the grace; any other that was spent before ends the session.
   *
   * @throws InvalidToken, TokenExpired, TokenRevoked, TokenReused
   */
  async refresh(refreshToken: string): Promise<TokenPair> {
    const claims = this.tokens.verifyRefresh(refreshToken);
    // That a token was reused must be written down although the caller gets an error, so it is thrown afterwards.
    const pair = await this.unitOfWork.run(() => this.rotate(claims));
    if (pair === 'reused') throw new TokenReused();
    return pair;
  }

  async logout({ sessionId }: Principal): Promise<void> {
    await this.sessions.end(sessionId);
  }

  /** Who the bearer of this access token is. @throws InvalidToken, TokenExpired, TokenRevoked */
  async identify(accessToken: string): Promise<Principal> {
    const { sub, email, roles, sid }: AccessClaims = this.tokens.verifyAccess(accessToken);
    const [role] = roles;
    if ((await this.sessions.liveRole(sid, sub)) !== role) throw new TokenRevoked();
    return { id: sub, email, role: role satisfies Role, sessionId: sid };
  }

  private async begin(user: Account, { ip, userAgent }: Origin): Promise<TokenPair> {
    const now = new Date();
    const id = Session.newId();
    const jti = randomBytes(32).toString('base64url');
    await this.sessions.create(
      Session.begin({
        id,
        userId: user.id,
        refreshHash: hashOf(jti),
        ip,
        userAgent: userAgent?.slice(0, 500) ?? null,
        now,
        expiresAt: this.expiry(now),
      }),
    );
    return this.pair(user, id, jti, now);
  }

  private async rotate({ sub, sid, jti }: RefreshClaims): Promise<TokenPair | 'reused'> {
    const session = await this.sessions.lockById(sid);
    const user = await this.users.find(sub);
    if (session === null || user === null || session.userId !== sub || session.endedAt !== null)
      throw new TokenRevoked();

    const now = new Date();
    const successor = this.tokens.successorOf(jti);
    switch (session.judge(hashOf(jti), this.config.refreshReuseGrace, now)) {
      case 'current':
        session.rotate(hashOf(successor), now, this.expiry(now));
        await this.sessions.update(sid, {
          refreshHash: session.refreshHash,
          previousRefreshHash: session.previousRefreshHash,
          rotatedAt: session.rotatedAt,
          lastUsedAt: session.lastUsedAt,
          expiresAt: session.expiresAt,
        });
        return this.pair(user, sid, successor, now);
      case 'spent last':
        return this.pair(user, sid, successor, session.rotatedAt);
      case 'spent':
        await this.sessions.end(sid);
        await this.events.record('session.reuse_detected', session, { id: sid, userId: sub });
        return 'reused';
    }
  }

  private pair(user: Account, sid: string, jti: string, issuedAt: Date): TokenPair {
    return {
      accessToken: this.tokens.access({ sub: user.id, email: user.email ?? '', roles: [user.role], sid }),
      refreshToken: this.tokens.refresh({ sub: user.id, sid, jti }, issuedAt),
      user,
    };
  }

  private expiry(from: Date): Date {
    return new Date(from.getTime() + this.config.refreshTokenTtl * 1000);
  }
}
