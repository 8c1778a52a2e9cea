import { Injectable } from '@nestjs/common';
import { isEmail } from 'class-validator';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { type Role, ROLES } from '../../permissions.js';
import { EventsService } from '../events/index.js';
import { isPasswordHash } from './passwords.js';
import { User } from './user.entity.js';
import { toUser } from './users.dto.js';
import { UsersRepository } from './users.repository.js';

/** A user as another system knew them. Without a role they are a plain user. */
export interface ForeignUser {
  email: string;
  name: string;
  role: string;
  /** bcrypt or argon2. */
  hash: string;
}

/** Takes over users from another system, with the passwords that they have. */
@Injectable()
export class UsersImport {
  constructor(
    private readonly users: UsersRepository,
    private readonly events: EventsService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** The user, or what is wrong, in words that repeat nothing of it. */
  read({ email, name, role, hash }: ForeignUser): User | string {
    const trimmed = name.trim();
    if (!isEmail(email) || email.length > 254) return 'the email is not valid';
    if (Array.from(trimmed).length < 2 || Array.from(trimmed).length > 100)
      return 'the name must have 2 to 100 characters';
    // PostgreSQL can not store it.
    if (/\0/.test(trimmed)) return 'the name contains a null character';
    if (role !== '' && !ROLES.some((each) => each === role)) return `the role must be one of ${ROLES.join(', ')}`;
    if (!isPasswordHash(hash)) return 'the hash is neither bcrypt nor argon2';
    return User.register({ email, name: trimmed, role: (role || 'user') as Role, passwordHash: hash });
  }

  /** All of them at once, apart from those whose email somebody has already. @returns how many it has added */
  add(users: readonly User[]): Promise<number> {
    return this.unitOfWork.run(async () => {
      const added = new Set(await this.users.createMissing(users));
      const news = users.filter(({ id }) => added.has(id));
      await this.events.recordAll(
        'user.created',
        news.map((user) => ({ resource: user, data: toUser(user) })),
      );
      return news.length;
    });
  }
}
