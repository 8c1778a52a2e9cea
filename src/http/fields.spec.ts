import 'reflect-metadata';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import {
  Amount,
  Currency,
  Email,
  Metadata,
  Name,
  Optional,
  QueryBoolean,
  QueryDate,
  QueryInteger,
  Uuid,
} from './fields.js';

class Body {
  @Optional()
  @Amount()
  amount?: number;

  @Optional()
  @Currency()
  currency?: string;

  @Optional()
  @Name()
  name?: string;

  @Optional()
  @Uuid()
  id?: string;

  @Optional()
  @Metadata()
  metadata?: Record<string, string>;
}

class WithEmail {
  @Email()
  email: string;
}

class Query {
  @Optional()
  @QueryInteger(0, 100)
  limit?: number;

  @Optional()
  @QueryBoolean()
  inStock?: boolean;

  @Optional()
  @QueryDate()
  from?: Date;
}

const isGood = (Dto: new () => object, plain: object): boolean =>
  validateSync(plainToInstance(Dto, plain)).length === 0;

describe('a field of a body', () => {
  it.each([0, 1999, Number.MAX_SAFE_INTEGER])('takes %p as an amount', (amount) => {
    expect(isGood(Body, { amount })).toBe(true);
  });

  it.each([-1, 0.1, 2 ** 53, '1999', null, true, [1], NaN, Infinity])('refuses %p as an amount', (amount) => {
    expect(isGood(Body, { amount })).toBe(false);
  });

  it.each(['eur', 'EURO', 'XXA', '', 978])('refuses %p as a currency', (currency) => {
    expect(isGood(Body, { currency })).toBe(false);
  });

  it('counts the characters of a name as Unicode does', () => {
    expect(isGood(Body, { name: '😀'.repeat(100) })).toBe(true);
    expect(isGood(Body, { name: '😀'.repeat(101) })).toBe(false);
    expect(isGood(Body, { name: '😀' })).toBe(false);
    // A mark that only says how the character before it is drawn is one of them.
    expect(isGood(Body, { name: 'a\uFE0F' })).toBe(true);
    expect(isGood(Body, { name: 'a\uFE0F'.repeat(51) })).toBe(false);
  });

  it('does not count the blanks around a name', () => {
    expect(plainToInstance(Body, { name: '  Ann  ' })).toEqual({ name: 'Ann' });
    expect(isGood(Body, { name: ' A ' })).toBe(false);
  });

  it('takes ids in any case for the same id', () => {
    expect(plainToInstance(Body, { id: '01890000-0000-7000-8000-00000000000A' })).toEqual({
      id: '01890000-0000-7000-8000-00000000000a',
    });
  });

  it.each([
    [{}, true],
    [{ campaign: 'spring' }, true],
    [{ ['k'.repeat(40)]: 'v'.repeat(500) }, true],
    [{ ['k'.repeat(41)]: 'v' }, false],
    [{ key: 'v'.repeat(501) }, false],
    [Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`k${index}`, 'v'])), false],
    [{ key: 1 }, false],
    [['v'], false],
    [{ ['😀'.repeat(40)]: '😀'.repeat(500) }, true],
    [{ ['😀'.repeat(41)]: 'v' }, false],
    [{ k: '😀'.repeat(501) }, false],
    ['v', false],
    [null, false],
  ])('%# of metadata', (metadata, expected) => {
    expect(isGood(Body, { metadata })).toBe(expected);
  });
});

describe('an email', () => {
  const faultOf = (email: unknown): unknown => {
    const [fault] = validateSync(plainToInstance(WithEmail, { email }), { stopAtFirstError: true });
    return fault && Object.values(fault.constraints ?? {});
  };

  it.each([
    ['ann@example.com', undefined],
    [undefined, ['must be an email']],
    [null, ['must be an email']],
    [1, ['must be an email']],
    ['ann', ['must be an email']],
    [`${'a'.repeat(250)}@example.com`, ['must have at most 254 characters']],
  ])('that is %p: %p', (email, fault) => {
    expect(faultOf(email)).toEqual(fault);
  });
});

describe('a parameter of a query', () => {
  it('is read as the type that it declares', () => {
    expect(plainToInstance(Query, { limit: '20', inStock: 'false', from: '2026-01-31' })).toEqual({
      limit: 20,
      inStock: false,
      from: new Date('2026-01-31T00:00:00.000Z'),
    });
  });

  it('that is finer than what is stored means the next that is stored', () => {
    expect(plainToInstance(Query, { from: '2026-01-31T00:00:00.0930001Z' })).toEqual({
      from: new Date('2026-01-31T00:00:00.094Z'),
    });
  });

  it.each([
    { limit: '1e1' },
    { limit: '010' },
    { limit: ' 1' },
    { limit: '' },
    { limit: '101' },
    { limit: ['1', '2'] },
    { inStock: '1' },
    { inStock: 'TRUE' },
    { from: '2026-02-30' },
    { from: 'yesterday' },
    { from: '1769817600' },
    { from: '2026-01-31T00:00' },
    { from: '0000-01-01' },
  ])('is refused as %p', (query) => {
    expect(isGood(Query, query)).toBe(false);
  });
});
