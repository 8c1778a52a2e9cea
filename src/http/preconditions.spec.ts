import { StaleVersion } from '../stale-version.js';
import { MalformedError } from '../errors.js';
import { isNotModified, versionCheck } from './preconditions.js';

const outcome = (work: () => void): string => {
  try {
    work();
    return 'goes on';
  } catch (error) {
    return error instanceof StaleVersion ? 'stale' : error instanceof MalformedError ? 'malformed' : String(error);
  }
};
const write = (headers: Record<string, string>) =>
  outcome(() => {
    versionCheck({ headers })(3);
  });

describe('a write to version 3', () => {
  it.each(['"3"', '*', ' * ', '"3-25"', '"1", "3"', '"1","2" ,"3-x"', 'W/"3", "3"', ', "3",'])(
    'goes on with If-Match: %s',
    (value) => {
      expect(write({ 'if-match': value })).toBe('goes on');
    },
  );

  it.each([
    '"2"',
    '"33"',
    '"-3"',
    '"3x"',
    '"03x"',
    '"03"',
    '"03-1"',
    '"3-"',
    '"3--1"',
    'W/"3"',
    '""',
    '"1", "2"',
    '"3,3"',
  ])('is stale with If-Match: %s', (value) => {
    expect(write({ 'if-match': value })).toBe('stale');
  });

  it.each(['3', '', '"3', '3"', '"3" "4"', '*, "3"', "'3'", 'w/"3"', '"a b"'])('can not be read: %s', (value) => {
    expect(write({ 'if-match': value })).toBe('malformed');
    expect(write({ 'if-none-match': value })).toBe('malformed');
  });

  it('knows If-None-Match too', () => {
    expect(write({ 'if-none-match': '*' })).toBe('stale');
    expect(write({ 'if-none-match': 'W/"3"' })).toBe('stale');
    expect(write({ 'if-none-match': '"2"' })).toBe('goes on');
    expect(write({})).toBe('goes on');
  });
});

describe('a read of "3-25"', () => {
  it.each([
    ['"3-25"', true],
    ['W/"3-25"', true],
    ['"1", W/"3-25"', true],
    ['*', true],
    ['"3"', false],
    ['"3-24"', false],
    ['3-25', false],
    ['', false],
  ])('with If-None-Match: %s', (value, expected) => {
    expect(isNotModified({ headers: { 'if-none-match': value } }, '3-25')).toBe(expected);
  });

  it('is refused where If-Match names another version', () => {
    expect(outcome(() => void isNotModified({ headers: { 'if-match': '"2"' } }, '3-25'))).toBe('stale');
    expect(isNotModified({ headers: { 'if-match': '"3-1"' } }, '3-25')).toBe(false);
  });
});
