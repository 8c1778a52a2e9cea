import { Injectable } from '@nestjs/common';
import type { Page, PageRequest } from '../../database/paging.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { ForbiddenError, ValidationError } from '../../errors.js';
import { assertMay, may, type Principal, type Role } from '../../permissions.js';
import { EventsService } from '../events/index.js';
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

/** Something that has to be released, or forbids it by throwing, before a user is erased; in the same transaction. */
export type BeforeErasure = (userId: string, by: Principal) => Promise<void>;

@Injectable()
export class UsersService {
  private readonly beforeErasure: BeforeErasure[] = [];

  constructor(
    private readonly users: UsersRepository,
    private readonly passwords: Passwords,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** Lets a module that users know nothing of have its say before one is erased. */
  onErasure(hook: BeforeErasure): void {
    this.beforeErasure.push(hook);
  }

  /** @throws EmailTaken */
  async create({ email, name, password, role = 'user' }: NewUser): Promise<User> {
    const passwordHash = await this.passwords.hash(password);
    return this.unitOfWork.run(() => this.insert(User.register({ email, name, role, passwordHash })));
  }

  /** @throws UserNotFound, ForbiddenError */
  async get(id: string, by: Principal): Promise<User> {
    const user = await this.users.findById(id);
    if (user === null) throw new UserNotFound();
    assertMay(by, 'read', id);
    return user;
  }

  list(filters: UserFilters, page: PageRequest, by: Principal): Promise<Page<User>> {
    return this.users.findPage(filters, page, by.id);
  }

  /** @throws UserNotFound, ForbiddenError, EmailTaken, WrongPassword, LastAdmin */
  async update(id: string, changes: UserChanges, by: Principal): Promise<User> {
    const target = await this.get(id, by);
    this.assertMayChange(target, by);
    if (changes.role !== undefined && !may(by, 'admin')) throw new ForbiddenError('Only an admin can set a role');
    const changesOwnEmail = id === by.id && changes.email !== undefined && changes.email !== target.email;
    if (changesOwnEmail) await this.confirm(id, changes.currentPassword);

    return this.unitOfWork.run(async () => {
      const admins = changes.role === undefined ? [] : await this.users.lockAdmins();
      const user = await this.users.lockById(id);
      if (user === null) throw new UserNotFound();
      this.assertMayChange(user, by);
      if (user.role === 'admin' && changes.role !== undefined && changes.role !== 'admin')
        this.assertNotLast(admins, id);
      if (changes.name !== undefined) user.rename(changes.name);
      if (changes.email !== undefined) user.changeEmail(changes.email);
      if (changes.role !== undefined) user.role = changes.role;
      return this.save(user, 'user.updated');
    });
  }

  /**
   * Erases the person and keeps the row. Whatever else is theirs is released by the modules that own it, or keeps
   * them from going.
   *
   * @throws UserNotFound, ForbiddenError, LastAdmin, ConflictError
   */
  delete(id: string, by: Principal): Promise<void> {
    return this.unitOfWork.run(async () => {
      const admins = await this.users.lockAdmins();
      const user = await this.users.lockById(id);
      if (user === null) throw new UserNotFound();
      assertMay(by, 'admin', id);
      if (user.role === 'admin') this.assertNotLast(admins, id);
      for (const hook of this.beforeErasure) await hook(id, by);
      user.erase();
      await this.save(user, 'user.deleted');
    });
  }

  /** The user with this email and password, or null; both cases take the same time. */
  async authenticate(email: string, password: string): Promise<User | null> {
    const user = await this.users.findByEmail(email);
    const passwordHash = user && (await this.users.passwordHashOf(user.id));
    return (await this.passwords.verify(passwordHash, password)) ? user : null;
  }

  /** Who these are, in one question, the erased among them without an email. */
  names(ids: readonly string[]): Promise<Map<string, UserName>> {
    return this.users.findNames(ids);
  }

  /** Null for an unknown or an erased one. */
  find(id: string): Promise<User | null> {
    return this.users.findById(id);
  }

  /**
   * Makes the first admin where there is none; replicas that start at once make one between them.
   *
   * @returns whether this call made it
   */
  async createFirstAdmin(email: string, password: string): Promise<boolean> {
    const passwordHash = await this.passwords.hash(password);
    return this.unitOfWork.run(async () => {
      await this.users.lockFirstAdmin();
      if ((await this.users.count({ role: 'admin' })) > 0) return false;
      await this.insert(User.register({ email, name: 'Admin', role: 'admin', passwordHash }));
      return true;
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

  private async save(user: User, event: 'user.updated' | 'user.deleted'): Promise<User> {
    user.version += 1;
    user.updatedAt = new Date();
    const { id, ...columns } = user;
    await this.users.update(id, columns);
    await this.events.record(event, user, toUser(user));
    return user;
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

  private async confirm(id: string, password: string | undefined): Promise<void> {
    if (password === undefined) throw ValidationError.of('currentPassword', 'is required to change your own email');
    if (!(await this.passwords.verify(await this.users.passwordHashOf(id), password))) throw new WrongPassword();
  }
}
