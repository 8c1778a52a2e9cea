import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsString, Matches } from 'class-validator';
import { Text } from '../../http/fields.js';

/** The rules for a password that is being set. One that is being checked is only compared. */
export const NewPassword = () =>
  applyDecorators(
    IsString(),
    Text(8, 128),
    Matches(/\p{Lu}/u, { message: 'must contain an upper-case letter' }),
    Matches(/\p{Nd}/u, { message: 'must contain a digit' }),
    ApiProperty({ format: 'password' }),
  );
