import { Injectable } from '@nestjs/common';
import type { Page, PageRequest } from '../../database/paging.js';
import { IdempotencyKeys } from '../../database/idempotency.js';
import { Overtaken, UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { Guesses } from '../../limits/guesses.js';
import { assertMay, may, type Principal, type Role } from '../../permissions.js';
import { anyVersion, type VersionCheck } from '../../stale-version.js';
import { EventsService } from '../events/index.js';
import { CachedUsers } from './cached-users.js';
import { Passwords } from './passwords.js';
import { User, type UserName } from './user.entity.js';
import { toUser } from './users.dto.js';
import { LastAdmin, UserNotFound, WrongPassword } from './users.errors.js';
import { type UserFilters, UsersRepository } from './users.repository.js';

export interface NewUser {
  email: string;
  name: string;
  password: string;
  role?: Role;
}

export interface UserChanges {
  email?: string;
  name?: string;
  role?: Role;
  /** Needed where somebody changes their own email. */
  currentPassword?: string;
}

/** What a module has to do with it that a user is erased, in the same transaction. */
export interface BeforeErasure {
  /** Releases what is theirs, or forbids it by throwing. */
  release(userId: string, by: Principal): Promise<void>;
  /** Whether nothing has come since, which somebody had begun before. */
  isReleased?(userId: string): Promise<boolean>;
}

/** Follows, in the same transaction, when what somebody's access tokens say of their rights is no longer so. */
export type OnRightsChange = (user: Pick<User, 'id' | 'rightsVersion'>) => Promise<void>;

/** Follows, in the same transaction, when a user has got another address than this one. */
export type OnEmailChange = (user: User, formerEmail: string) => Promise<void>;

/** Follows, in the same transaction, when an account is somebody else's from now on: nobody else may still be in it. */
export type OnHandover = (userId: string) => Promise<void>;

/** A password that somebody else has changed while it was checked is checked again, this many times. */
const CHECKS = 3;

/** Events whose data shows a person. */
const PERSONAL_EVENTS = ['user.created', 'user.updated', 'user.deleted'] as const;

@Injectable()
export class UsersService {
  private readonly beforeErasure: BeforeErasure[] = [];
  private readonly rightsChangeHooks: OnRightsChange[] = [];
  private readonly emailChangeHooks: OnEmailChange[] = [];
  private readonly handoverHooks: OnHandover[] = [];

  constructor(
    private readonly users: UsersRepository,
    private readonly shown: CachedUsers,
    private readonly passwords: Passwords,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly idempotency: IdempotencyKeys,
    private readonly guesses: Guesses,
  ) {}

  /** Lets a module that users know nothing of have its say before one is erased. */
  onErasure(hook: BeforeErasure): void {
    this.beforeErasure.push(hook);
  }

  onRightsChange(hook: OnRightsChange): void {
    this.rightsChangeHooks.push(hook);
  }

  onEmailChange(hook: OnEmailChange): void {
    this.emailChangeHooks.push(hook);
  }

  onHandover(hook: OnHandover): void {
    this.handoverHooks.push(hook);
  }

  /** @throws EmailTaken, UnavailableError */
  async create({ email, name, password, role = 'user' }: NewUser): Promise<User> {
    const passwordHash = await this.passwords.hash(password);
    return this.unitOfWork.run(() => this.insert(User.register({ email, name, role, passwordHash })));
  }

  /** @throws UserNotFound, ForbiddenError */
  async get(id: string, by: Principal): Promise<User> {
    const user = await this.shown.findById(id);
    if (user === null) throw new UserNotFound();
    assertMay(by, 'read', id);
    return user;
  }

  list(filters: UserFilters, page: PageRequest, by: Principal): Promise<Page<User>> {
    return this.users.findPage(filters, page, by.id);
  }

  /** @throws UserNotFound, ForbiddenError, StaleVersion, EmailTaken, WrongPassword, LastAdmin */
  async update(id: string, changes: UserChanges, by: Principal, check: VersionCheck = anyVersion): Promise<User> {
    for (let attempt = 1; attempt <= CHECKS; attempt++) {
      const target = await this.get(id, by);
      this.assertMayChange(target, by);
      if (changes.role !== undefined && !may(by, 'admin')) throw new ForbiddenError('Only an admin can set a role');
      const proof = movesOwnEmail(target, changes, by) ? await this.confirm(id, changes.currentPassword) : undefined;
      const updated = await this.apply(id, changes, by, check, proof);
      if (updated !== undefined) return updated;
    }
    throw new WrongPassword();
  }

  /** @returns `undefined` where it needs the password once more: their email or their password is another by now */
  private apply(
    id: string,
    changes: UserChanges,
    by: Principal,
    check: VersionCheck,
    proof: string | undefined,
  ): Promise<User | undefined> {
    return this.unitOfWork.run(async () => {
      const admins = changes.role === undefined ? [] : await this.users.lockAdmins();
      const user = await this.users.lockById(id);
      if (user === null) throw new UserNotFound();
      this.assertMayChange(user, by);
      check(user.version);
      if (movesOwnEmail(user, changes, by) && (await this.users.passwordHashOf(id)) !== proof) return undefined;
      if (user.role === 'admin' && changes.role !== undefined && changes.role !== 'admin')
        this.assertNotLast(admins, id);
      const former = { email: user.email ?? '', rightsVersion: user.rightsVersion };
      if (changes.name !== undefined) user.rename(changes.name);
      const isMoved = changes.email !== undefined && user.changeEmail(changes.email);
      if (changes.role !== undefined) user.changeRole(changes.role);
      await this.save(user, 'user.updated');
      if (user.rightsVersion !== former.rightsVersion) await this.tellOfRights(user);
      if (isMoved) {
        for (const hook of this.emailChangeHooks) await hook(user, former.email);
      }
      return user;
    });
  }

  /**
   * Erases the person and keeps the row. Whatever else is theirs is released by the modules that own it, or keeps
   * them from going.
   *
   * @throws UserNotFound, ForbiddenError, StaleVersion, LastAdmin, ConflictError
   */
  async delete(id: string, by: Principal, check: VersionCheck = anyVersion): Promise<void> {
    await this.unitOfWork.run(async () => {
      const admins = await this.users.lockAdmins();
      const user = await this.users.lockById(id);
      if (user === null) throw new UserNotFound();
      assertMay(by, 'admin', id);
      check(user.version);
      if (user.role === 'admin') this.assertNotLast(admins, id);
      for (const hook of this.beforeErasure) await hook.release(id, by);
      // Users come last in the order in which everybody locks: who has begun something for this one holds a product or
      // an account that had to be released, and refers to the user then.
      await this.users.holdOff(id);
      for (const hook of this.beforeErasure) {
        if ((await hook.isReleased?.(id)) === false) throw new Overtaken();
      }
      await this.idempotency.forget(id);
      user.erase();
      await this.save(user, 'user.deleted');
      await this.events.redact([id], PERSONAL_EVENTS, { email: '', name: user.name });
      await this.tellOfRights(user);
    });
    await this.shown.forget(id);
  }

  /**
   * What `work` makes of the user with this email and password, or null where there is none; both take the same time.
   * `work` runs in a unit of work that holds the user: their password is still this one, and they are not erased.
   *
   * @throws UnavailableError
   */
  authenticate<T>(email: string, password: string, work: (user: User) => Promise<T>): Promise<T | null> {
    return this.withPassword(() => this.users.credentialsOf(email), password, work);
  }

  /**
   * Replaces the password by another; `also` runs in the same unit of work.
   *
   * @throws WrongPassword, UnavailableError
   */
  async changePassword(
    id: string,
    { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
    also: (user: User) => Promise<void>,
  ): Promise<void> {
    const changed = await this.withPassword(
      async () => ({ id, passwordHash: await this.users.passwordHashOf(id) }),
      currentPassword,
      (user) => also(user).then(() => true),
      newPassword,
    );
    if (changed === null) throw new WrongPassword();
  }

  /**
   * Gives a new password to somebody who has proved themselves otherwise. `also` runs first, in the same unit of work and
   * with the user held, and calls it off by throwing; without a user too, so that it can tell what is wrong.
   *
   * @throws UnavailableError, and what `also` throws
   */
  async resetPassword(id: string, password: string, also: (user: User | null) => Promise<void>): Promise<void> {
    const passwordHash = await this.passwords.hash(password);
    await this.unitOfWork.run(async () => {
      const user = await this.users.lockById(id);
      await also(user);
      await this.users.update(id, { passwordHash });
    });
  }

  /** Notes that this address is really theirs. @returns `false` when it is not their address any more */
  verifyEmail(id: string, emailKey: string): Promise<boolean> {
    return this.unitOfWork.run(async () => {
      const user = await this.users.lockById(id);
      if (user?.emailKey !== emailKey) return false;
      if (user.emailVerified) return true;
      user.emailVerified = true;
      await this.save(user, 'user.updated');
      return true;
    });
  }

  findByEmail(email: string): Promise<User | null> {
    return this.users.findByEmail(email);
  }

  /** Who these are, in one question, the erased among them without an email. */
  names(ids: readonly string[]): Promise<Map<string, UserName>> {
    return this.users.findNames(ids);
  }

  /** Those that there are and that have not been erased, by their id. */
  findAll(ids: readonly string[]): Promise<Map<string, User>> {
    return this.users.findByIds(ids);
  }

  /** Whom nobody changes or erases until the running unit of work ends; null for an unknown or an erased one. */
  hold(id: string): Promise<User | null> {
    return this.users.lockById(id);
  }

  /** The same of the one who has this email. */
  async holdByEmail(email: string): Promise<User | null> {
    const found = await this.users.findByEmail(email);
    const user = found && (await this.users.lockById(found.id));
    // They may have got another meanwhile.
    return user?.emailKey === found?.emailKey ? user : null;
  }

  /**
   * Makes the first admin where there is none; replicas that start at once make one between them. Whoever has the address
   * already becomes it, and had better not be trusted: they may have registered it before its owner did.
   *
   * @returns what this call did, if anything
   */
  async createFirstAdmin(email: string, password: string): Promise<'made' | 'handed over' | undefined> {
    const passwordHash = await this.passwords.hash(password);
    return this.unitOfWork.run(async () => {
      await this.users.lockFirstAdmin();
      if ((await this.users.count({ role: 'admin' })) > 0) return undefined;
      const admin = User.register({ email, name: 'Admin', role: 'admin', passwordHash });
      const [made] = await this.users.createMissing([admin]);
      if (made === undefined) {
        await this.handOver(email, passwordHash);
        return 'handed over';
      }
      await this.events.record('user.created', admin, toUser(admin));
      return 'made';
    });
  }

  hasAdmin(): Promise<boolean> {
    return this.users.count({ role: 'admin' }).then((count) => count > 0);
  }

  private async insert(user: User): Promise<User> {
    await this.users.create(user);
    await this.events.record('user.created', user, toUser(user));
    return user;
  }

  /** To the operator, as admin: nothing that was good for this account before is any longer. */
  private async handOver(email: string, passwordHash: string): Promise<void> {
    const user = await this.holdByEmail(email);
    if (user === null) throw new UserNotFound();
    user.changeRole('admin');
    user.passwordHash = passwordHash;
    await this.save(user, 'user.updated');
    await this.tellOfRights(user);
    for (const hook of this.handoverHooks) await hook(user.id);
  }

  private async save(user: User, event: 'user.updated' | 'user.deleted'): Promise<User> {
    user.version += 1;
    user.updatedAt = new Date();
    const { id, ...columns } = user;
    await this.users.update(id, columns);
    await this.events.record(event, user, toUser(user));
    return user;
  }

  /**
   * Checks the password first and then runs `work` in a unit of work where it is certain that it is still the same one:
   * it can be changed by somebody else while it is being checked. A hash that is weaker than those we make is replaced.
   */
  private async withPassword<T>(
    find: () => Promise<{ id: string; passwordHash: string | null } | undefined>,
    password: string,
    work: (user: User) => Promise<T>,
    newPassword?: string,
  ): Promise<T | null> {
    for (let check = 1; check <= CHECKS; check++) {
      const { id, passwordHash: hash } = (await this.unitOfWork.outside(find)) ?? {};
      const matches = await this.passwords.verify(hash, password);
      if (!matches || id === undefined || hash == null) return null;
      const isReplaced = newPassword !== undefined || this.passwords.isOutdated(hash);
      const newHash = isReplaced ? await this.passwords.hash(newPassword ?? password) : hash;
      const done = await this.unitOfWork.run(async () => {
        const user = await this.users.lockWith(id, hash);
        if (user === null) return undefined;
        if (newHash !== hash) await this.users.update(id, { passwordHash: newHash });
        return { result: await work(user) };
      });
      if (done !== undefined) return done.result;
    }
    return null;
  }

  private async tellOfRights(user: User): Promise<void> {
    for (const hook of this.rightsChangeHooks) await hook(user);
  }

  private assertMayChange(user: User, by: Principal): void {
    assertMay(by, 'write', user.id);
    if (user.role !== 'user' && user.id !== by.id && !may(by, 'admin')) {
      throw new ForbiddenError('Moderators may change users only');
    }
  }

  private assertNotLast(admins: readonly string[], id: string): void {
    if (admins.length === 1 && admins[0] === id) throw new LastAdmin();
  }

  /** @returns the hash that the password was checked against */
  private async confirm(id: string, password: string | undefined): Promise<string> {
    if (password === undefined) throw ValidationError.of('currentPassword', 'is required to change your own email');
    return this.guesses.ofUser(id, async () => {
      const passwordHash = await this.users.passwordHashOf(id);
      if (passwordHash === null || !(await this.passwords.verify(passwordHash, password))) throw new WrongPassword();
      return passwordHash;
    });
  }
}

const movesOwnEmail = (user: User, { email }: UserChanges, by: Principal): boolean =>
  user.id === by.id && email !== undefined && email !== user.email;
