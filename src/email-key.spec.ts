import { emailKeyOf } from './email-key.js';

describe('the key of an email', () => {
  it.each([
    ['Ann@Example.com', 'ann@EXAMPLE.COM'],
    ['straße@example.com', 'STRAẞE@example.com'],
    ['straße@example.com', 'STRASSE@example.com'],
    ['ſilvia@example.com', 'Silvia@example.com'],
    ['ΟΔΟΣ@example.com', 'οδος@example.com'],
    ['e\u0301@example.com', '\u00e9@example.com'],
  ])('is one for %p and %p', (one, other) => {
    expect(emailKeyOf(one)).toBe(emailKeyOf(other));
  });

  it.each([
    ['sılvia@example.com', 'silvia@example.com'],
    ['ann@example.com', 'anne@example.com'],
  ])('is another for %p than for %p', (one, other) => {
    expect(emailKeyOf(one)).not.toBe(emailKeyOf(other));
  });

  it('is its own key', () => {
    for (const email of ['STRAẞE@x.de', 'İ@x.de', 'ſ@x.de', 'ΟΔΟΣ@x.de']) {
      expect(emailKeyOf(emailKeyOf(email))).toBe(emailKeyOf(email));
    }
  });
});
