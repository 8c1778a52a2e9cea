import { findInexactness } from './json.js';

const find = (text: string) => findInexactness(text, JSON.parse(text));

describe('what JSON.parse loses', () => {
  it.each([
    '{}',
    '{"a":1,"b":[1,2,{"a":1}],"c":{"a":1}}',
    '{"a":"\\"a\\":1,\\\\","b":"{\\"a\\":1,\\"a\\":2}","c":"\\\\"}',
    '{"a":123456789012345,"b":9007199254740992,"c":-0,"d":0.1,"e":1.50,"f":1e3,"g":1.0,"h":true,"i":0.000001}',
    ' { "a" : [ ] , "b" : "1.00000000000000000000001" } ',
    '{"a":{"b":1},"b":{"a":1}}',
  ])('is nothing of %s', (text) => {
    expect(find(text)).toBeUndefined();
  });

  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['{"a":[{"b":1},{"c":{"d":1,"e":[],"d":1}}]}', 'a[1].c.d'],
    [`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)},"a":1}`, 'a'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
  ])('is a value of %.60s, at %s', (text, path) => {
    expect(find(text)).toEqual({ path, message: 'is given twice' });
  });

  it.each([
    ['{"a":9007199254740993}', 'a'],
    ['{"a":[0,1.0000000000000000001]}', 'a[1]'],
    ['{"a":{"b":1e400}}', 'a.b'],
    ['{"a":1e-400}', 'a'],
    ['{"a":-0.30000000000000000001}', 'a'],
  ])('are digits of %s, at %s', (text, path) => {
    expect(find(text)).toEqual({ path, message: 'is a number that can not be held exactly' });
  });
});
