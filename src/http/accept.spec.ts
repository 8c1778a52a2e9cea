import { prefersProblem } from './accept.js';

describe('problem details', () => {
  it.each([
    'application/problem+json',
    'Application/Problem+JSON',
    'application/json, application/problem+json',
    'application/problem+json;q=0.9, */*;q=0.8',
    'text/html, application/problem+json ; q=0.1',
  ])('are for who accepts %s', (accept) => {
    expect(prefersProblem(accept)).toBe(true);
  });

  it.each([
    undefined,
    '',
    '*/*',
    'application/*',
    'application/json',
    'application/problem+json;q=0',
    'application/problem+json; q=0.000, */*',
    'application/json, application/problem+json;q=0.5',
    'application/problem+jsonp',
  ])('are not for who accepts %s', (accept) => {
    expect(prefersProblem(accept)).toBe(false);
  });
});
