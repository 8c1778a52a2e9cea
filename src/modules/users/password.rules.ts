import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsString, Matches, ValidateBy } from 'class-validator';
import { isCommonPassword, TOO_COMMON } from '../../common-passwords.js';
import { Text } from '../../http/fields.js';

/** The rules for a password that is being set. One that is being checked is only compared. */
export const NewPassword = () =>
  applyDecorators(
    IsString(),
    Text(8, 128),
    Matches(/\p{Lu}/u, { message: 'must contain an upper-case letter' }),
    Matches(/\p{Nd}/u, { message: 'must contain a digit' }),
    ValidateBy({
      name: 'uncommon',
      validator: {
        validate: (value: unknown) => typeof value !== 'string' || !isCommonPassword(value),
        defaultMessage: () => TOO_COMMON,
      },
    }),
    ApiProperty({ format: 'password' }),
  );

/** A password that is compared: whatever it is, it is right or wrong, and never too weak. */
export const GivenPassword = () => applyDecorators(IsString(), ApiProperty({ format: 'password' }));
