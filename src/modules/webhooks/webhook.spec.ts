import { NotOpenable, SecretBox } from '../../secret-box.js';
import { Webhook as Verifier } from 'standardwebhooks';
import { readRetryAfter, waitBefore } from './schedule.js';
import { makeSecret, signedHeaders } from './signature.js';
import { Webhook } from './webhook.entity.js';

const DAY_MS = 86_400_000;
const made = () =>
  Webhook.register(
    { url: 'https://shop.example/', eventTypes: ['order.paid'] },
    { id: 'one', secret: 'sealed 1', beginsAfter: 100 },
  );

describe('when to try again', () => {
  const schedule = [0, 5, 300];

  it('goes by the schedule, a little later at random and never earlier', () => {
    const waits = [0, 0.5, 1].map((random) => waitBefore(schedule, 1, { random }));
    expect(waits).toEqual([5000, 5250, 5500]);
    expect(waitBefore(schedule, 2, { random: 0 })).toBe(300_000);
    expect(waitBefore(schedule, 3)).toBeUndefined();
  });

  it('is not before the receiver wants it', () => {
    expect(waitBefore(schedule, 1, { retryAfterMs: 60_000, random: 0 })).toBe(60_000);
    expect(waitBefore(schedule, 2, { retryAfterMs: 60_000, random: 0 })).toBe(300_000);
    expect(waitBefore(schedule, 3, { retryAfterMs: 60_000 })).toBeUndefined();
  });

  it('reads both spellings of Retry-After, and believes no more than a day', () => {
    const now = Date.parse('2026-01-31T00:00:00Z');
    expect(readRetryAfter('120', now)).toBe(120_000);
    expect(readRetryAfter('Sat, 31 Jan 2026 00:01:00 GMT', now)).toBe(60_000);
    expect(readRetryAfter('Fri, 30 Jan 2026 00:01:00 GMT', now)).toBe(0);
    expect(readRetryAfter('9999999999', now)).toBe(DAY_MS);
    expect(['', 'soon', '-5', '1.5', '2026-01-31', undefined].map((value) => readRetryAfter(value, now))).toEqual(
      Array(6).fill(undefined),
    );
  });
});

describe('a webhook', () => {
  it('wants what it is registered for, from the time it was made, while it is enabled', () => {
    const webhook = made();
    expect(webhook.wants({ type: 'order.paid', transactionId: 101 })).toBe(true);
    expect(webhook.wants({ type: 'order.paid', transactionId: 100 })).toBe(false);
    expect(webhook.wants({ type: 'order.created', transactionId: 101 })).toBe(false);
    webhook.revise({ eventTypes: ['*'] });
    expect(webhook.wants({ type: 'order.created', transactionId: 101 })).toBe(true);
    webhook.switchOff();
    expect(webhook.wants({ type: 'order.paid', transactionId: 101 })).toBe(false);
    expect(webhook.version).toBe(3);
  });

  it('gets another chance with another URL, or when it is switched on again', () => {
    const failing = () => Object.assign(made(), { failingSince: new Date() });
    const after = (changes: object, webhook = failing()) => {
      webhook.revise(changes);
      return webhook.failingSince;
    };
    expect(after({ url: 'https://other.example/' })).toBeNull();
    expect(after({ enabled: true }, Object.assign(failing(), { enabled: false }))).toBeNull();
    expect(after({ url: 'https://shop.example/', description: 'x', enabled: true })).not.toBeNull();
  });

  it('signs with a secret for a day after it was replaced, however often it is', () => {
    const webhook = made();
    const now = Date.parse('2026-01-31T00:00:00Z');
    webhook.rotate('sealed 2', new Date(now));
    webhook.rotate('sealed 3', new Date(now + DAY_MS / 2));
    const at = (time: number) => webhook.signingSecrets(new Date(time));
    expect(at(now + DAY_MS / 2)).toEqual(['sealed 3', 'sealed 2', 'sealed 1']);
    expect(at(now + DAY_MS)).toEqual(['sealed 3', 'sealed 2']);
    expect(at(now + 2 * DAY_MS)).toEqual(['sealed 3']);
    for (let n = 4; n < 30; n++) webhook.rotate(`sealed ${n}`, new Date(now + DAY_MS));
    expect(at(now + DAY_MS)).toHaveLength(11);
  });
});

describe('a signature', () => {
  it('is taken for genuine by the published package, whichever of the secrets it knows', () => {
    const [one, two] = [makeSecret(), makeSecret()];
    const message = { id: 'msg_1', timestamp: Math.floor(Date.now() / 1000), body: '{"type":"ping"}' };
    const headers = signedHeaders(message, [one, two]);
    for (const secret of [one, two]) {
      expect(new Verifier(secret).verify(message.body, headers)).toEqual({ type: 'ping' });
    }
    expect(() => new Verifier(makeSecret()).verify(message.body, headers)).toThrow();
    expect(() => new Verifier(one).verify(`${message.body} `, headers)).toThrow();
  });

  it('is made with 32 bytes', () => {
    expect(Buffer.from(makeSecret().replace('whsec_', ''), 'base64')).toHaveLength(32);
    expect(makeSecret()).not.toBe(makeSecret());
  });
});

describe('a sealed secret', () => {
  const box = new SecretBox('secrets', ['key one']);

  it('is opened by the key it was sealed with, also when another seals now', () => {
    const sealed = box.seal('whsec_1', 'one');
    expect(sealed).not.toContain('whsec');
    expect(box.seal('whsec_1', 'one')).not.toBe(sealed);
    const later = new SecretBox('secrets', ['key two', 'key one']);
    expect(later.open(sealed, 'one')).toBe('whsec_1');
    expect([later.isCurrent(sealed), later.isCurrent(later.seal('whsec_1', 'one'))]).toEqual([false, true]);
  });

  it('is not opened without the key, for another row, or when anything of it was changed', () => {
    const sealed = box.seal('whsec_1', 'one');
    expect(() => new SecretBox('secrets', ['key two']).open(sealed, 'one')).toThrow(NotOpenable);
    expect(() => box.open(sealed, 'two')).toThrow(NotOpenable);
    expect(() =>
      box.open(
        sealed.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')),
        'one',
      ),
    ).toThrow(NotOpenable);
    expect(() => box.open('', 'one')).toThrow(NotOpenable);
  });
});
