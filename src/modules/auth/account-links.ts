import { randomBytes } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { emailKeyOf } from '../../email-key.js';
import { JobsService } from '../jobs/index.js';
import { MailService } from '../mail/index.js';
import { type User, UsersService } from '../users/index.js';
import { BadUserToken } from './auth.errors.js';
import { SessionsService } from './sessions.service.js';
import { hashOf } from './tokens.js';
import { type Purpose, UserToken } from './user-token.entity.js';
import { UserTokensRepository } from './user-tokens.repository.js';

/** More mails of a kind than this within an hour are somebody's mischief. */
const HOURLY = 10;

const FORGOT = 'auth.forgot-password';

/** Links that prove who has a mailbox: for verifying an address, and for getting back in without the password. */
@Injectable()
export class AccountLinks implements OnModuleInit {
  constructor(
    private readonly users: UsersService,
    private readonly tokens: UserTokensRepository,
    private readonly sessions: SessionsService,
    private readonly mails: MailService,
    private readonly jobs: JobsService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  onModuleInit(): void {
    this.jobs.handle<{ email: string }>(FORGOT, ({ email }) => this.mailReset(email));
  }

  /** In the running unit of work. */
  async welcome(user: User): Promise<void> {
    const verifyUrl = await this.link(user, 'verify-email', '/verify-email');
    await this.mails.send({ ...to(user), template: 'welcome', data: { name: user.name, verifyUrl } });
  }

  /** Mails a new link, unless the address is verified already. */
  resendVerification(userId: string): Promise<void> {
    return this.unitOfWork.run(async () => {
      const user = await this.users.hold(userId);
      if (user === null || user.emailVerified || (await this.isEnough(user, 'verify-email'))) return;
      await this.mailVerification(user);
    });
  }

  /** @throws BadUserToken */
  verifyEmail(token: string): Promise<void> {
    return this.unitOfWork.run(async () => {
      // The user before their links, as whoever erases them does.
      const claim = await this.tokens.findGood('verify-email', hashOf(token));
      if (claim === null || !(await this.users.verifyEmail(claim.userId, claim.emailKey))) throw new BadUserToken();
      if ((await this.tokens.take('verify-email', hashOf(token))) === null) throw new BadUserToken();
      await this.tokens.deleteOf(claim.userId, 'verify-email');
    });
  }

  /** Whether there is such a user is found out by a job, so that nobody can tell by the answer or by its time. */
  forgotPassword(email: string): Promise<void> {
    return this.jobs.enqueue(FORGOT, { email: emailKeyOf(email) });
  }

  /**
   * Sets a new password and ends every session.
   *
   * @throws BadUserToken, UnavailableError
   */
  async resetPassword(token: string, password: string): Promise<void> {
    const tokenHash = hashOf(token);
    // Looked at first: hashing for whoever comes with a bad token would be too good an offer.
    const claim = await this.tokens.findGood('reset-password', tokenHash);
    if (claim === null) throw new BadUserToken();
    await this.users.resetPassword(claim.userId, password, async (user) => {
      const taken = await this.tokens.take('reset-password', tokenHash);
      if (user === null || taken?.emailKey !== user.emailKey) throw new BadUserToken();
      await this.sessions.endAll(user.id);
      await this.passwordChanged(user);
    });
  }

  /** Whatever was mailed to reset the old one is void, and its owner is told. In the running unit of work. */
  async passwordChanged(user: User): Promise<void> {
    await this.tokens.deleteOf(user.id, 'reset-password');
    await this.mails.send({ ...to(user), template: 'password-changed', data: { name: user.name } });
  }

  /** Tells the former address, and asks the new one. In the running unit of work. */
  async emailChanged(user: User, formerEmail: string): Promise<void> {
    await this.tokens.deleteOf(user.id);
    await this.jobs.discard(FORGOT, { email: emailKeyOf(formerEmail) });
    await this.mails.send({ ...to(user), to: formerEmail, template: 'email-changed', data: { name: user.name } });
    await this.mailVerification(user);
  }

  /** In the running unit of work. */
  async forget(userId: string): Promise<void> {
    const user = await this.users.hold(userId);
    await this.tokens.deleteOf(userId);
    await this.jobs.discard(FORGOT, { email: user?.emailKey ?? null });
    await this.mails.forget(userId);
  }

  async clean(): Promise<void> {
    await this.tokens.deleteExpired();
  }

  private async mailReset(email: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      const user = await this.users.holdByEmail(email);
      if (user === null || (await this.isEnough(user, 'reset-password'))) return;
      const url = await this.link(user, 'reset-password', '/reset-password');
      await this.mails.send({ ...to(user), template: 'password-reset', data: { name: user.name, url } });
    });
  }

  private async isEnough({ id }: User, purpose: Purpose): Promise<boolean> {
    return (await this.tokens.countRecent(id, purpose)) >= HOURLY;
  }

  private async mailVerification(user: User): Promise<void> {
    const verifyUrl = await this.link(user, 'verify-email', '/verify-email');
    await this.mails.send({ ...to(user), template: 'verify-email', data: { name: user.name, verifyUrl } });
  }

  private async link(user: User, purpose: Purpose, path: string): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    const emailKey = user.emailKey ?? '';
    await this.tokens.create(UserToken.issue({ userId: user.id, emailKey, purpose, tokenHash: hashOf(token) }));
    return this.mails.linkTo(path, { token });
  }
}

const to = ({ id, email }: User) => ({ userId: id, to: email ?? '' });
