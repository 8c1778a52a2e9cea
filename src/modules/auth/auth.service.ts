import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { Principal } from '../../permissions.js';
import { MailService } from '../mail/index.js';
import { type User, UsersService } from '../users/index.js';
import { AccountLinks } from './account-links.js';
import { InvalidCredentials } from './auth.errors.js';
import { type Origin, SessionsService, type TokenPair } from './sessions.service.js';

/** Who gets in, and with what. */
@Injectable()
export class AuthService {
  constructor(
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly links: AccountLinks,
    private readonly mails: MailService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @throws EmailTaken, UnavailableError */
  register(given: { email: string; name: string; password: string }, origin: Origin): Promise<TokenPair> {
    // One unit of work: it begins with its first statement, which is after the password has been hashed.
    return this.unitOfWork.run(async () => {
      const user = await this.users.create(given);
      await this.links.welcome(user);
      return this.sessions.begin(user, origin);
    });
  }

  /** @throws InvalidCredentials, UnavailableError */
  async login(email: string, password: string, origin: Origin): Promise<TokenPair> {
    const pair = await this.users.authenticate(email, password, async (user) => {
      if (!(await this.sessions.isKnown(user, origin))) await this.tellOfNewPlace(user, origin);
      return this.sessions.begin(user, origin);
    });
    if (pair === null) throw new InvalidCredentials();
    return pair;
  }

  /** Whether there is a session of this email's user that was begun from the same network. */
  async hasLoggedInFrom(email: string, ip: string | null): Promise<boolean> {
    const user = ip === null ? null : await this.users.findByEmail(email);
    return user !== null && ip !== null && this.sessions.hasBegunFrom(user, ip);
  }

  /** Ends every other session. @throws WrongPassword, UnavailableError */
  changePassword(
    { id, sessionId }: Principal,
    passwords: { currentPassword: string; newPassword: string },
  ): Promise<void> {
    return this.users.changePassword(id, passwords, async (user) => {
      await this.sessions.endAll(id, { spared: sessionId });
      await this.links.passwordChanged(user);
    });
  }

  private async tellOfNewPlace({ id, email, name }: User, { ip, userAgent }: Origin): Promise<void> {
    const data = { name, ip: ip ?? 'unknown', userAgent, time: new Date().toISOString() };
    await this.mails.send({ userId: id, to: email ?? '', template: 'new-session', data });
  }
}
