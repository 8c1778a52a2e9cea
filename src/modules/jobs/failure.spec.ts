import { describeFailure } from './failure.js';

const PAYLOAD = {
  to: 'ann@example.com',
  data: { name: 'Ann', verifyUrl: 'https://shop.example/verify/path-secret?token=query%20secret#fragment-secret' },
};

describe('what is kept of a failure', () => {
  it('is its message', () => {
    expect(describeFailure(new Error('The server is away'), PAYLOAD)).toBe('The server is away');
    expect(describeFailure('just so', PAYLOAD)).toBe('just so');
    expect(describeFailure(new Error(''), PAYLOAD)).toBe('Failed without a message');
  });

  it('has nothing in it of what the job is about', () => {
    for (const secret of [PAYLOAD.to, PAYLOAD.data.verifyUrl, 'path-secret', 'query secret', 'fragment-secret']) {
      const told = describeFailure(new Error(`550 I do not like ${secret}!`), PAYLOAD);
      expect(told).toBe('550 I do not like […]!');
    }
  });

  it('is one line, and not a long one', () => {
    const told = describeFailure(new Error(`first\nsecond\u0000${'x'.repeat(5000)}`), PAYLOAD);
    expect(told).toMatch(/^first second x+$/);
    expect(told).toHaveLength(500);
  });
});
