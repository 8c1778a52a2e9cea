import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import { secretsOf } from './signing-keys.js';

describe('the secrets that other keys are derived from', () => {
  it('begin with that of the key that signs, and go on with those of the past', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const der = privateKey.export({ format: 'der', type: 'pkcs8' });
    const [jwtSecret, former] = ['a secret of today, which is long enough', 'a former secret, which is long enough'];
    const jwtPreviousKeys = [publicKey, createSecretKey(Buffer.from(former))];
    const bytes = (...secrets: (string | Buffer)[]) => secrets.map((secret) => Buffer.from(secret));
    expect(secretsOf({ jwtSecret, jwtPrivateKey: undefined, jwtPreviousKeys })).toEqual(bytes(jwtSecret, former));
    // Beside a private key the secret only verifies: it may be taken away one day.
    expect(secretsOf({ jwtSecret, jwtPrivateKey: privateKey, jwtPreviousKeys })).toEqual(bytes(der, jwtSecret, former));
  });
});
