import { ApiProperty, PickType } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { Email, Name, Optional, QueryDate, QueryText } from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import { type Role, ROLES } from '../../permissions.js';
import { GivenPassword, NewPassword } from './password.rules.js';
import type { User } from './user.entity.js';

export class CreateUserDto {
  /** @example ann@example.com */
  @Email()
  email: string;

  /** @example "Ann Archer" */
  @Name()
  name: string;

  /** @example Correct-Horse-7 */
  @NewPassword()
  password: string;

  @Optional()
  @IsIn(ROLES)
  role?: Role;
}

export class ReplaceUserDto extends PickType(CreateUserDto, ['email', 'name', 'role'] as const) {
  /**
   * Needed to change one's own email
   * @example Correct-Horse-7
   */
  @Optional()
  @GivenPassword()
  currentPassword?: string;
}

export class UpdateUserDto {
  /** @example ann@example.com */
  @Optional()
  @Email()
  email?: string;

  /** @example "Ann Archer" */
  @Optional()
  @Name()
  name?: string;

  /** Only admins may change it */
  @Optional()
  @IsIn(ROLES)
  role?: Role;

  /**
   * Needed to change one's own email
   * @example Correct-Horse-7
   */
  @Optional()
  @GivenPassword()
  currentPassword?: string;
}

export class UsersQuery extends ListQuery {
  /** Contained in the email, whatever the case */
  @Optional()
  @QueryText(254)
  email?: string;

  /** Contained in the name, whatever the case */
  @Optional()
  @QueryText(100)
  name?: string;

  @Optional()
  @IsIn(ROLES)
  role?: Role;

  /** At or after this time */
  @Optional()
  @QueryDate()
  createdFrom?: Date;

  /** Before this time */
  @Optional()
  @QueryDate()
  createdTo?: Date;

  @Optional()
  @IsIn(['createdAt', 'updatedAt', 'email', 'name'])
  sortBy?: 'createdAt' | 'updatedAt' | 'email' | 'name';
}

export class UserView {
  @ApiProperty({ format: 'uuid' })
  id: string;
  email: string;
  name: string;
  role: Role;
  emailVerified: boolean;
  createdAt: Date;
  updatedAt: Date;
  version: number;
}

export function toUser(user: User): UserView {
  return {
    id: user.id,
    email: user.email ?? '',
    name: user.name,
    role: user.role,
    emailVerified: user.emailVerified,
    createdAt: user.createdAt,
    updatedAt: user.updatedAt,
    version: user.version,
  };
}

/**
 * With whose it is: `/users/me` is another for each caller, and browsers ask with the tag of whoever was logged in before.
 * They would be told that it is theirs still.
 */
export const tagOfUser = ({ id, version }: UserView): string => `${version}-${id.replaceAll('-', '')}`;
