import { ApiProperty, PickType } from '@nestjs/swagger';
import { IsEmail, IsString, MaxLength } from 'class-validator';
import { Name } from '../../http/fields.js';
import { NewPassword, toUser, UserView } from '../users/index.js';
import type { TokenPair } from './auth.service.js';

export class RegisterDto {
  /** @example ann@example.com */
  @IsEmail({}, { message: 'must be an email' })
  @MaxLength(254)
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
  @IsString()
  @MaxLength(1000)
  password: string;
}

export class RefreshDto {
  @IsString()
  @MaxLength(5000)
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
  { accessToken, refreshToken, user }: TokenPair,
  ttl: { accessTokenTtl: number; refreshTokenTtl: number },
): TokensView {
  return {
    accessToken,
    refreshToken,
    tokenType: 'Bearer',
    expiresIn: ttl.accessTokenTtl,
    refreshExpiresIn: ttl.refreshTokenTtl,
    user: toUser(user),
  };
}
