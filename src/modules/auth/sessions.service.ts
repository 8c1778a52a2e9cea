import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config } from '../../config.js';
import { GroupCommit } from '../../database/group-commit.js';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { networkOf } from '../../limits/network.js';
import type { Principal } from '../../permissions.js';
import { EventsService } from '../events/index.js';
import { type User, UsersService } from '../users/index.js';
import { SessionNotFound, TokenReused, TokenRevoked } from './auth.errors.js';
import { Revocations } from './revocations.js';
import { Session } from './session.entity.js';
import { SessionsRepository } from './sessions.repository.js';
import { hashOf, type RefreshClaims, Tokens } from './tokens.js';

/** From where somebody logs in. */
export interface Origin {
  ip: string | null;
  userAgent: string | null;
}

export interface TokenPair {
  accessToken: string;
  refreshToken: string;
  /** Seconds. */
  refreshExpiresIn: number;
  user: User;
}

/** How long it is remembered where somebody was logged in: to tell a new place from an old one. */
const REMEMBERED_DAYS = 30;
const CLEANED_AT_ONCE = 1000;
const LONGEST_USER_AGENT = 500;

/** What a login lasts for: one line of refresh tokens, and the access tokens that they bring. */
@Injectable()
export class SessionsService {
  private readonly refreshing: GroupCommit<RefreshClaims, TokenPair | 'reused'>;

  constructor(
    private readonly sessions: SessionsRepository,
    private readonly users: UsersService,
    private readonly tokens: Tokens,
    private readonly revocations: Revocations,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {
    // Nobody else wants the rows of a session.
    this.refreshing = new GroupCommit(unitOfWork, (shown) => this.rotateAll(shown), 2);
  }

  /** In the running unit of work, which has to hold the user: one that is being erased must not get a new session. */
  async begin(user: User, { ip, userAgent }: Origin): Promise<TokenPair> {
    const now = new Date();
    const id = Session.newId();
    const jti = randomBytes(32).toString('base64url');
    await this.sessions.create(
      Session.begin({
        id,
        userId: user.id,
        refreshHash: hashOf(jti),
        ip,
        userAgent: brief(userAgent),
        now,
        expiresAt: this.expiry(now),
      }),
    );
    return this.pair(user, id, jti, now);
  }

  /**
   * Spends the refresh token and gives its successor. The token spent last gets the same successor once more within
   * the grace; any other that was spent before ends the session.
   *
   * @throws InvalidToken, TokenExpired, TokenRevoked, TokenReused
   */
  async refresh(refreshToken: string): Promise<TokenPair> {
    // That a token was reused must be written down although the caller gets an error, so it is thrown afterwards.
    const pair = await this.refreshing.of(this.tokens.verifyRefresh(refreshToken));
    if (pair === 'reused') throw new TokenReused();
    return pair;
  }

  list(by: Principal, request: PageRequest): Promise<Page<Session>> {
    return this.sessions.findLiving(by.id, request);
  }

  /** Whoever logs out twice is logged out. */
  async logout({ id, sessionId }: Principal): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.sessions.end(sessionId, id);
      await this.revocations.revokeSessions([sessionId]);
    });
  }

  /** @throws SessionNotFound for one that is over, and for another's: nobody is told that it exists */
  async end(id: string, by: Pick<Principal, 'id'>): Promise<void> {
    await this.unitOfWork.run(async () => {
      if (!(await this.sessions.end(id, by.id))) throw new SessionNotFound();
      await this.revocations.revokeSessions([id]);
    });
  }

  /** Every session of the user but the spared one. */
  async endAll(userId: string, { spared = null }: { spared?: string | null } = {}): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.revocations.revokeSessions(await this.sessions.endAll(userId, spared));
    });
  }

  isKnown(user: User, { ip, userAgent }: Origin): Promise<boolean> {
    return this.sessions.isKnown(user.id, ip, brief(userAgent));
  }

  /** Whether one of the user's sessions was begun from the network of this address. */
  async hasBegunFrom(user: User, ip: string): Promise<boolean> {
    const ips = await this.sessions.ipsOf(user.id);
    return ips.some((each) => networkOf(each) === networkOf(ip));
  }

  /** Ends them and keeps nothing of them: addresses and programs are personal data. */
  async forget(userId: string): Promise<void> {
    await this.endAll(userId);
    await this.sessions.deleteOf(userId);
  }

  /** Lets go of sessions that were over long ago, and of revocations that no token can need. */
  async clean(): Promise<void> {
    while ((await this.sessions.deleteOver(REMEMBERED_DAYS, CLEANED_AT_ONCE)) === CLEANED_AT_ONCE);
    await this.revocations.clean();
  }

  /** Those that come at the same time, in one unit of work: two that show tokens of one session, one after the other. */
  private async rotateAll(shown: readonly RefreshClaims[]): Promise<(TokenPair | 'reused' | Error)[]> {
    const [{ sessions, now }, users] = await Promise.all([
      this.sessions.lockAll(shown.map(({ sid }) => sid)),
      this.users.findAll(shown.map(({ sub }) => sub)),
    ]);
    const rotated = new Set<Session>();
    const outcomes: (TokenPair | 'reused' | Error)[] = [];
    for (const { sub, sid, jti } of shown) {
      const session = sessions.get(sid);
      const user = users.get(sub);
      if (session === undefined || user === undefined || session.userId !== sub || session.endedAt !== null) {
        outcomes.push(new TokenRevoked());
        continue;
      }
      const successor = this.tokens.successorOf(jti);
      const use = session.judge(hashOf(jti), this.config.refreshReuseGrace, now);
      if (use === 'current') {
        session.rotate(hashOf(successor), now, this.expiry(now));
        rotated.add(session);
      }
      if (use === 'spent') {
        session.endedAt = now;
        await this.sessions.end(sid, sub);
        await this.revocations.revokeSessions([sid]);
        await this.events.record('session.reuse_detected', session, { id: sid, userId: sub });
        outcomes.push('reused');
      } else outcomes.push(this.pair(user, sid, successor, session.rotatedAt, now));
    }
    await this.sessions.writeRotations([...rotated]);
    return outcomes;
  }

  private pair(user: User, sid: string, jti: string, issuedAt: Date, now = issuedAt): TokenPair {
    const { id: sub, email, role, rightsVersion } = user;
    return {
      accessToken: this.tokens.access({ sub, email: email ?? '', roles: [role], sid, rights: rightsVersion }),
      refreshToken: this.tokens.refresh({ sub, sid, jti }, issuedAt),
      refreshExpiresIn: Math.floor((this.expiry(issuedAt).getTime() - now.getTime()) / 1000),
      user,
    };
  }

  private expiry(from: Date): Date {
    return new Date(from.getTime() + this.config.refreshTokenTtl * 1000);
  }
}

const brief = (userAgent: string | null): string | null => userAgent?.slice(0, LONGEST_USER_AGENT) ?? null;
