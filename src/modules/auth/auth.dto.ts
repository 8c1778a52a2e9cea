import { ApiProperty, PickType } from '@nestjs/swagger';
import { IsIn, IsString } from 'class-validator';
import { Email, Name, Optional, Text } from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import { GivenPassword, NewPassword, toUser, UserView } from '../users/index.js';
import type { Session } from './session.entity.js';
import type { TokenPair } from './sessions.service.js';

export class RegisterDto {
  /** @example ann@example.com */
  @Email()
  email: string;

  /** @example "Ann Archer" */
  @Name()
  name: string;

  /** @example Correct-Horse-7 */
  @NewPassword()
  password: string;
}

export class LoginDto extends PickType(RegisterDto, ['email'] as const) {
  /** @example Correct-Horse-7 */
  @GivenPassword()
  password: string;
}

export class ForgotPasswordDto extends PickType(RegisterDto, ['email'] as const) {}

/** The token of a mailed link. */
export class UserTokenDto {
  /** @example kX0vB3nUe9m1tqYw5cR7sJd2fHg4aLzP6oNiQbVxEyM */
  @Text(0, 1000)
  token: string;
}

export class ResetPasswordDto extends UserTokenDto {
  /** @example Correct-Horse-8 */
  @NewPassword()
  password: string;
}

export class ChangePasswordDto {
  /** @example Correct-Horse-7 */
  @GivenPassword()
  currentPassword: string;

  /** @example Correct-Horse-8 */
  @NewPassword()
  newPassword: string;
}

export class SessionsQuery extends ListQuery {
  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class SessionView {
  @ApiProperty({ format: 'uuid' })
  id: string;
  createdAt: Date;
  /** When it began or was refreshed last */
  lastUsedAt: Date;
  expiresAt: Date;
  @ApiProperty({ type: 'string', nullable: true })
  ip: string | null;
  @ApiProperty({ type: 'string', nullable: true })
  userAgent: string | null;
  /** Whether it is the one that asks */
  current: boolean;
}

export const toSession =
  (currentId: string) =>
  ({ id, createdAt, lastUsedAt, expiresAt, ip, userAgent }: Session): SessionView => ({
    id,
    createdAt,
    lastUsedAt,
    expiresAt,
    ip,
    userAgent,
    current: id === currentId,
  });

export class RefreshDto {
  @IsString()
  refreshToken: string;
}

export class TokensView {
  accessToken: string;

  refreshToken: string;

  @ApiProperty({ enum: ['Bearer'] })
  tokenType: 'Bearer';

  @ApiProperty({ type: 'integer', description: 'Seconds until the access token expires' })
  expiresIn: number;

  @ApiProperty({ type: 'integer', description: 'Seconds until the refresh token expires' })
  refreshExpiresIn: number;

  user: UserView;
}

export function toTokens(
  { accessToken, refreshToken, refreshExpiresIn, user }: TokenPair,
  { accessTokenTtl }: { accessTokenTtl: number },
): TokensView {
  return {
    accessToken,
    refreshToken,
    tokenType: 'Bearer',
    expiresIn: accessTokenTtl,
    refreshExpiresIn,
    user: toUser(user),
  };
}
