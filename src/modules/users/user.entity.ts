import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';
import { emailKeyOf, isSameMailbox } from '../../email-key.js';
import type { Role } from '../../permissions.js';

/** Who somebody is, to others. */
export interface UserName {
  id: string;
  /** Null for an erased user. */
  email: string | null;
  name: string;
}

@Entity('users')
@Unique('users_email_key', ['emailKey'])
@Check('users_role_check', `role IN ('user', 'moderator', 'admin')`)
@Check(
  'users_erased_check',
  '(erased_at IS NULL) = (email IS NOT NULL AND email_key IS NOT NULL AND password_hash IS NOT NULL)',
)
@Index('users_by_created_at', { synchronize: false })
@Index('users_by_updated_at', { synchronize: false })
@Index('users_by_email', { synchronize: false })
@Index('users_by_name', { synchronize: false })
@Index('users_by_role', { synchronize: false })
@Index('users_by_part_of_email', { synchronize: false })
@Index('users_by_part_of_name', { synchronize: false })
@Index('users_admins', { synchronize: false })
export class User {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'users_pkey' })
  id: string;

  /** As it was typed; null once the user is erased. */
  @Column('text', { nullable: true })
  email: string | null;

  @Column('text', { nullable: true })
  emailKey: string | null;

  @Column('text')
  name: string;

  @Column('text')
  role: Role;

  /** Goes up whenever what their access tokens say they may do is no longer so. */
  @Column('integer')
  rightsVersion: number;

  @Column('text', { nullable: true, select: false })
  passwordHash: string | null;

  @Column('boolean')
  emailVerified: boolean;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  updatedAt: Date;

  @Column('timestamp with time zone', { precision: 3, nullable: true })
  erasedAt: Date | null;

  @Column('integer')
  version: number;

  static register(given: { email: string; name: string; role: Role; passwordHash: string }): User {
    const now = new Date();
    return Object.assign(new User(), {
      ...given,
      id: uuid(),
      emailKey: emailKeyOf(given.email),
      emailVerified: false,
      createdAt: now,
      updatedAt: now,
      erasedAt: null,
      rightsVersion: 1,
      version: 1,
    });
  }

  rename(name: string): void {
    this.name = name;
  }

  /** @returns whether it may be another mailbox, which has to be verified anew */
  changeEmail(email: string): boolean {
    const isAnother = !isSameMailbox(email, this.email ?? '');
    if (isAnother) this.emailVerified = false;
    this.email = email;
    this.emailKey = emailKeyOf(email);
    return isAnother;
  }

  changeRole(role: Role): void {
    if (role === this.role) return;
    this.role = role;
    this.rightsVersion += 1;
  }

  /** Forgets who this was. The row stays, for the orders and ledger entries that name it. */
  erase(): void {
    this.email = null;
    this.emailKey = null;
    this.passwordHash = null;
    this.name = 'Erased user';
    this.emailVerified = false;
    this.role = 'user';
    this.rightsVersion += 1;
    this.erasedAt = new Date();
  }
}
