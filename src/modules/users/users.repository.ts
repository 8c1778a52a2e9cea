import { Injectable } from '@nestjs/common';
import type { Stamp } from '../../cache/row-cache.js';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { Role } from '../../permissions.js';
import { emailKeyOf } from '../../email-key.js';
import { User, type UserName } from './user.entity.js';
import { EmailTaken } from './users.errors.js';

export interface UserFilters {
  email?: string;
  name?: string;
  role?: Role;
  createdFrom?: Date;
  createdTo?: Date;
}

const LIST: ListDefinition<User> = {
  name: 'users',
  sortKeys: {
    createdAt: { sql: 'user.createdAt', type: 'timestamptz', of: (user) => user.createdAt },
    updatedAt: { sql: 'user.updatedAt', type: 'timestamptz', of: (user) => user.updatedAt },
    email: { sql: 'user.emailKey', type: 'text', of: (user) => user.emailKey ?? '' },
    // Whatever the case. Other than that, in the order of the database's collation.
    name: { sql: 'lower(user.name)', type: 'text' },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

/** All but the hash. */
const COLUMNS = `id, email, email_key AS "emailKey", name, role, rights_version AS "rightsVersion",
  email_verified AS "emailVerified", created_at AS "createdAt", updated_at AS "updatedAt", erased_at AS "erasedAt", version`;

/** The transaction that wrote a row last is another for every state that it has been in. */
const STAMP = `version || '@' || xmin AS stamp`;

/** Erased users are rows that only foreign keys may meet: every question here is about the others. */
@Injectable()
export class UsersRepository extends Repository<User> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, User, { users_email_key: () => new EmailTaken() });
  }

  override async findById(id: string): Promise<User | null> {
    const user = await super.findById(id);
    return user?.erasedAt === null ? user : null;
  }

  async findByIds(ids: readonly string[]): Promise<Map<string, User>> {
    const rows = await this.prepared<User>(
      'read users',
      `SELECT ${COLUMNS} FROM users WHERE id = ANY ($1::uuid[]) AND erased_at IS NULL`,
      [ids],
    );
    return new Map(rows.map((row) => [row.id, Object.assign(new User(), row)]));
  }

  override async lockById(id: string): Promise<User | null> {
    const user = await super.lockById(id);
    return user?.erasedAt === null ? user : null;
  }

  /** Waits for whoever refers to this user by a foreign key in a transaction that is open, and lets nobody begin to. */
  async holdOff(id: string): Promise<void> {
    await this.query(`SELECT FROM users WHERE id = $1 FOR UPDATE`, [id]);
  }

  async findByEmail(email: string): Promise<User | null> {
    return (await this.manager()).findOneBy(User, { emailKey: emailKeyOf(email) });
  }

  /** Inserts those whose email nobody has, in one statement. @returns the ids of those that it has inserted */
  async createMissing(users: readonly User[]): Promise<string[]> {
    const manager = await this.manager();
    const result = await manager
      .createQueryBuilder()
      .insert()
      .into(User)
      .values([...users])
      .orIgnore()
      .returning('id')
      .updateEntity(false)
      .execute();
    return (result.raw as { id: string }[]).map(({ id }) => id);
  }

  async credentialsOf(email: string): Promise<{ id: string; passwordHash: string | null } | undefined> {
    const [row] = await this.prepared<{ id: string; passwordHash: string | null }>(
      'read credentials',
      'SELECT id, password_hash AS "passwordHash" FROM users WHERE email_key = $1',
      [emailKeyOf(email)],
    );
    return row;
  }

  /** As `lockById`, but null also where the password is another by now. */
  async lockWith(id: string, passwordHash: string): Promise<User | null> {
    const [row] = await this.prepared<User>(
      'lock user with password',
      `SELECT ${COLUMNS} FROM users WHERE id = $1 AND password_hash = $2 AND erased_at IS NULL FOR NO KEY UPDATE`,
      [id, passwordHash],
    );
    return row === undefined ? null : Object.assign(new User(), row);
  }

  async passwordHashOf(id: string): Promise<string | null> {
    const [row] = await this.query<{ password_hash: string | null }>('SELECT password_hash FROM users WHERE id = $1', [
      id,
    ]);
    return row?.password_hash ?? null;
  }

  stampsOf(ids: readonly string[]): Promise<Stamp[]> {
    return this.prepared(
      'read stamps of users',
      `SELECT id, ${STAMP} FROM users WHERE id = ANY ($1::uuid[]) AND erased_at IS NULL`,
      [ids],
    );
  }

  /** As they are cached. */
  storedByIds(ids: readonly string[]): Promise<Stamp[]> {
    return this.prepared(
      'read users to be cached',
      `SELECT ${COLUMNS}, ${STAMP} FROM users WHERE id = ANY ($1::uuid[]) AND erased_at IS NULL`,
      [ids],
    );
  }

  async findPage(filters: UserFilters, request: PageRequest, caller: string): Promise<Page<User>> {
    const query = (await this.manager()).createQueryBuilder(User, 'user').where('user.erasedAt IS NULL');
    const { email, name, role, createdFrom, createdTo } = filters;
    if (email !== undefined) query.andWhere('user.emailKey LIKE :email', { email: contains(emailKeyOf(email)) });
    if (name !== undefined) query.andWhere('user.name ILIKE :name', { name: contains(name) });
    if (role !== undefined) query.andWhere('user.role = :role', { role });
    if (createdFrom !== undefined) query.andWhere('user.createdAt >= :createdFrom', { createdFrom });
    if (createdTo !== undefined) query.andWhere('user.createdAt < :createdTo', { createdTo });
    return this.pager.page(query, LIST, request, [filters, caller]);
  }

  async findNames(ids: readonly string[]): Promise<Map<string, UserName>> {
    const rows = await this.query<UserName>('SELECT id, email, name FROM users WHERE id = ANY($1)', [ids]);
    return new Map(rows.map((row) => [row.id, row]));
  }

  /** Locks every admin, in one order, so that two requests can not each take away the other's last one. */
  async lockAdmins(): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `SELECT id FROM users WHERE role = 'admin' ORDER BY id FOR NO KEY UPDATE`,
    );
    return rows.map(({ id }) => id);
  }

  /** Until the unit of work ends, nobody else can be making the first admin. */
  async lockFirstAdmin(): Promise<void> {
    await this.query(`SELECT pg_advisory_xact_lock(hashtext('stoa: first admin'))`);
  }
}

/** A LIKE pattern that finds the text anywhere, with its own wildcards taken literally. */
const contains = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`;
