import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  Allow,
  IsBoolean,
  IsDate,
  IsEmail,
  IsInt,
  IsString,
  IsUUID,
  Max,
  MaxLength,
  Min,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import { isCurrency } from '../currencies.js';

/** The largest integer that JSON numbers carry exactly: 2^53 − 1. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** May be left out, but not be null. */
export const Optional = () => ValidateIf((_, value) => value !== undefined);

/** By code points, as JSON Schema counts: not by the units of UTF-16, nor by what a reader takes for one character. */
function isWithin(min: number, max: number, text: string): boolean {
  if (text.length < min || text.length > 2 * max) return false;
  const length = Array.from(text).length;
  return length >= min && length <= max;
}

/** A string of so many characters. */
export const Text = (min: number, max: number) =>
  applyDecorators(
    IsString(),
    ValidateBy({
      name: 'length',
      validator: {
        validate: (value: unknown) => typeof value === 'string' && isWithin(min, max, value),
        defaultMessage: () => `must have ${min > 0 ? `${min} to` : 'at most'} ${max} characters`,
      },
    }),
    ApiProperty({ ...(min > 0 && { minLength: min }), maxLength: max }),
  );

export const Email = () =>
  applyDecorators(
    IsString({ message: AN_EMAIL }),
    MaxLength(254, { message: 'must have at most 254 characters' }),
    IsEmail({}, { message: AN_EMAIL }),
    ApiProperty({ format: 'email', maxLength: 254 }),
  );

const AN_EMAIL = 'must be an email';

/** A name of a person or a thing: blanks around it do not count. */
export const Name = () =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.trim() : value)),
    Text(2, 100),
  );

export const Integer = (min: number, max: number) =>
  applyDecorators(IsInt(), Min(min), Max(max), ApiProperty({ type: 'integer', minimum: min, maximum: max }));

/** An amount in the currency's minor unit. */
export const Amount = ({ min = 0 } = {}) => Integer(min, MAX_INTEGER);

/** An ISO 4217 code. */
export const Currency = () =>
  applyDecorators(
    ValidateBy({
      name: 'currency',
      validator: {
        validate: (value: unknown) => typeof value === 'string' && isCurrency(value),
        defaultMessage: () => 'must be an ISO 4217 code',
      },
    }),
    ApiProperty({ pattern: '^[A-Z]{3}$', minLength: 3, maxLength: 3, example: 'EUR' }),
  );

export const Uuid = () =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value)),
    IsUUID('loose', { message: 'must be a UUID' }),
    ApiProperty({ format: 'uuid' }),
  );

/** Up to 20 pairs of strings, keys of up to 40 and values of up to 500 characters. */
export const Metadata = () =>
  applyDecorators(
    ValidateBy({
      name: 'metadata',
      validator: {
        validate: (value: unknown) =>
          typeof value === 'object' &&
          value !== null &&
          !Array.isArray(value) &&
          Object.keys(value).length <= 20 &&
          Object.entries(value).every(
            ([key, text]) => isWithin(1, 40, key) && typeof text === 'string' && isWithin(0, 500, text),
          ),
        defaultMessage: () =>
          'must be at most 20 pairs of strings, with keys of 1 to 40 and values of up to 500 characters',
      },
    }),
    ApiProperty({
      type: 'object',
      additionalProperties: { type: 'string', maxLength: 500 },
      maxProperties: 20,
      description: 'Not by names that every object of JavaScript has, such as `constructor`',
      example: { campaign: 'spring' },
    }),
  );

/** A class whose body is `{}`. The validator refuses classes that it knows nothing of: it learns of no field by name. */
export const NoFields = (): ClassDecorator => (target) => {
  Allow()(target.prototype as object, Symbol('no field'));
};

/** An integer of the query string. */
export const QueryInteger = (min: number, max: number) =>
  applyDecorators(FromQuery(/^-?(0|[1-9]\d{0,15})$/, Number), Integer(min, max));

/** `true` or `false` in the query string. */
export const QueryBoolean = () =>
  applyDecorators(
    FromQuery(/^(true|false)$/, (text) => text === 'true'),
    IsBoolean({ message: 'must be true or false' }),
    ApiProperty({ type: 'boolean' }),
  );

/** An ISO 8601 date or time of the query string; a date alone is midnight UTC. */
export const QueryDate = () =>
  applyDecorators(
    FromQuery(ISO_8601, (text) => parseDate(text) ?? text),
    IsDate({ message: 'must be an ISO 8601 date, or a time with Z or an offset such as +02:00' }),
    ApiProperty({ type: 'string', pattern: ISO_8601.source, maxLength: 35, example: '2026-01-31' }),
  );

/** Text to look for. */
export const QueryText = (max: number) => Text(1, max);

const ISO_8601 = /^(\d{4})-(\d\d)-(\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

function parseDate(text: string): Date | undefined {
  const date = new Date(text);
  const [, year = '', month = '', day = ''] = ISO_8601.exec(text) ?? [];
  // JavaScript takes 30 February for 2 March; we do not.
  const daysInMonth = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number.isNaN(date.getTime()) || Number(day) > daysInMonth || Number(year) < 1) return undefined;
  // What we store has milliseconds: at or after a part of one means at or after the next.
  return /\.\d{3}0*[1-9]/.test(text) ? new Date(date.getTime() + 1) : date;
}

/** The query string holds text only: this reads the one spelling that the type has, and leaves all else to be refused. */
const FromQuery = (spelling: RegExp, read: (text: string) => unknown) =>
  Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && spelling.test(value) ? read(value) : value,
  );
