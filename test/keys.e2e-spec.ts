import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ADMIN, type Answer, type App, dataOf, failureOf, JWT_SECRET, PASSWORD, startApp } from './app.js';
import { Server } from './server.js';

const pem = {
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
};
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1', ...pem } as any) as unknown as KeyPair;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048, ...pem } as any) as unknown as KeyPair;
interface KeyPair {
  privateKey: string;
  publicKey: string;
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
const partOf = (token: string, index: number): any =>
  JSON.parse(Buffer.from(token.split('.')[index]!, 'base64url').toString());

describe('the keys of tokens', () => {
  let app: App;
  beforeAll(async () => {
    // A machine that is busy takes its time to restart.
    app = await startApp({ REFRESH_REUSE_GRACE: '600' });
  });
  afterAll(() => app?.stop());

  const restart = async (env: Record<string, string> = {}): Promise<void> => {
    await app.kill(); // which is faster than to ask
    await app.start(env);
  };
  const me = (token: string): Promise<Answer> => app.as(token).get('/users/me');
  const refresh = (refreshToken: string): Promise<Answer> => app.anonymous.post('/auth/refresh', { refreshToken });
  const jwks = async (): Promise<(JsonWebKey & { kid: string })[]> =>
    (await app.anonymous.get('/.well-known/jwks.json')).body.keys;

  it('a secret signs, and nobody is shown it', async () => {
    const answer = await app.anonymous.get('/.well-known/jwks.json');
    expect([answer.status, answer.body]).toEqual([200, { keys: [] }]);
    const { tokens } = await app.register();
    expect(partOf(tokens.accessToken, 0)).toEqual({ alg: 'HS256', typ: 'JWT', kid: expect.any(String) });
    expect(Object.keys(partOf(tokens.accessToken, 1)).sort()).toEqual(
      ['aud', 'email', 'exp', 'iat', 'iss', 'jti', 'roles', 'sid', 'sub', 'type'].sort(),
    );
  });

  it('from a secret to ES256, and on to RS256: nobody is logged out', async () => {
    const { tokens } = await app.register();
    const spentBefore = await app.register();
    const successor = dataOf(await refresh(spentBefore.tokens.refreshToken)).refreshToken;

    await restart({ JWT_SECRET: '', JWT_PRIVATE_KEY: ec.privateKey, JWT_PREVIOUS_KEYS: JWT_SECRET });
    dataOf(await me(tokens.accessToken));
    // A client that lost the answer asks again: it is given the same successor, although another key signs it now.
    const again = dataOf(await refresh(spentBefore.tokens.refreshToken)).refreshToken;
    expect(partOf(again, 1).jti).toBe(partOf(successor, 1).jti);
    dataOf(await refresh(successor));
    const second = dataOf(await refresh(tokens.refreshToken));
    const [key, ...others] = await jwks();
    expect(others).toEqual([]);
    expect(key).toEqual({ kty: 'EC', crv: 'P-256', x: key!.x, y: key!.y, kid: key!.kid, alg: 'ES256', use: 'sig' });
    expect(partOf(second.accessToken, 0)).toEqual({ alg: 'ES256', typ: 'JWT', kid: key!.kid });
    const [header, payload, signature] = second.accessToken.split('.') as [string, string, string];
    const publicKey = createPublicKey({ key: key!, format: 'jwk' });
    const signed = Buffer.from(`${header}.${payload}`);
    const options = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', signed, options, Buffer.from(signature, 'base64url'))).toBe(true);

    const previous = [ec.privateKey.replaceAll('\n', '\\n'), JWT_SECRET].join(',');
    await restart({ JWT_SECRET: '', JWT_PRIVATE_KEY: rsa.privateKey, JWT_PREVIOUS_KEYS: previous });
    dataOf(await me(second.accessToken));
    const third = dataOf(await refresh(second.refreshToken));
    expect(partOf(third.accessToken, 0).alg).toBe('RS256');
    const keys = await jwks();
    expect(keys.map(({ kty }) => kty)).toEqual(['RSA', 'EC']);
    for (const each of keys) for (const secret of ['d', 'p', 'q', 'k']) expect(each).not.toHaveProperty(secret);
    dataOf(await me(third.accessToken));
  });

  it('from one to another and another: cursors go on, and idempotency keys find their answers', async () => {
    await restart();
    const product = await app.product({ stock: 5 });
    await app.product();
    const ann = await app.register();
    const order = { items: [{ productId: product.id, quantity: 1 }] };
    const guest = { user: { email: 'guest.of.rotation@example.com', name: 'Gil', password: PASSWORD }, order };
    const key = { 'Idempotency-Key': 'before-the-rotation' };
    const placed = dataOf(await ann.post('/orders', order, key), 201);
    const checkedOut = dataOf(await app.anonymous.post('/checkouts', guest, key), 201).order;
    const { nextCursor } = (await app.anonymous.get('/products?limit=1')).body.meta.pagination;
    const page = dataOf(await app.anonymous.get(`/products?limit=1&cursor=${nextCursor}`));
    let followed = '';
    const follow = async (): Promise<void> => {
      const admin = await app.login(ADMIN.email, ADMIN.password);
      // There is none, so that the place stays the same.
      const answer = await admin.get(`/events?type=order.refunded${followed && `&cursor=${followed}`}`);
      expect(dataOf(answer)).toEqual([]);
      followed = answer.body.meta.pagination.nextCursor;
    };
    await follow();

    const rotations: Record<string, string>[] = [
      { JWT_SECRET: 'another-secret-of-forty-characters-or-so', JWT_PREVIOUS_KEYS: JWT_SECRET },
      { JWT_SECRET: '', JWT_PRIVATE_KEY: ec.privateKey, JWT_PREVIOUS_KEYS: JWT_SECRET },
      { JWT_SECRET: '', JWT_PRIVATE_KEY: rsa.privateKey, JWT_PREVIOUS_KEYS: `${ec.privateKey},${JWT_SECRET}` },
    ];
    for (const keys of rotations) {
      await restart(keys);
      expect(dataOf(await app.anonymous.get(`/products?limit=1&cursor=${nextCursor}`))).toEqual(page);
      const again = await app.as(ann.token!).post('/orders', order, key);
      expect([again.status, again.headers.get('idempotency-replayed'), again.body.data.id]).toEqual([
        201,
        'true',
        placed.id,
      ]);
      const other = await app.as(ann.token!).post('/orders', { ...order, note: 'Another' }, key);
      expect(failureOf(other)).toBe('422 IDEMPOTENCY_KEY_REUSED');
      const guestAgain = await app.anonymous.post('/checkouts', guest, key);
      expect([guestAgain.status, guestAgain.body.data?.order.id]).toEqual([201, checkedOut.id]);
    }
    // Who goes on asking has a cursor of today.
    await follow();
    await restart({ JWT_SECRET: '', JWT_PRIVATE_KEY: rsa.privateKey });
    expect(failureOf(await app.anonymous.get(`/products?limit=1&cursor=${nextCursor}`))).toBe('400 INVALID_CURSOR');
    await follow();
  });

  it('one that is not among ours any more is nobody’s', async () => {
    await restart();
    const { tokens } = await app.register();
    await restart({ JWT_SECRET: 'another-secret-of-forty-characters-or-so' });
    expect(failureOf(await me(tokens.accessToken))).toBe('401 UNAUTHORIZED');
    expect(failureOf(await refresh(tokens.refreshToken))).toBe('401 UNAUTHORIZED');
  });

  describe('a token is refused that', () => {
    let claims: Record<string, unknown>;
    let kid: string;
    beforeAll(async () => {
      await restart({ JWT_SECRET: '', JWT_PRIVATE_KEY: ec.privateKey, JWT_PREVIOUS_KEYS: JWT_SECRET });
      const { tokens } = await app.register();
      claims = partOf(tokens.accessToken, 1);
      kid = partOf(tokens.accessToken, 0).kid;
    });

    const now = (): number => Math.floor(Date.now() / 1000);
    const es256 = (header: object, payload: object): string => {
      const text = `${encode({ alg: 'ES256', typ: 'JWT', ...header })}.${encode(payload)}`;
      const key = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' } as const;
      return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
    };
    const hs256 = (secret: string, header: object, payload: object): string => {
      const text = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(payload)}`;
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    };
    const refused = async (token: string, failure = '401 UNAUTHORIZED') => {
      expect(failureOf(await me(token))).toBe(failure);
    };

    it('is made of the public key as if it were a secret', async () => {
      await refused(hs256(ec.publicKey, { kid }, claims));
      await refused(hs256(ec.publicKey, {}, claims));
    });

    it('names a key that is not ours, or one of another kind', async () => {
      dataOf(await me(es256({ kid }, claims)));
      dataOf(await me(hs256(JWT_SECRET, {}, claims)));
      await refused(es256({ kid: 'ours' }, claims));
      await refused(es256({ kid: ['x'] }, claims));
      await refused(hs256(JWT_SECRET, { kid }, claims));
      await refused(es256({ kid, alg: 'ES512' }, claims));
    });

    it('asks for what we do not know, or is of another type', async () => {
      await refused(es256({ kid, crit: ['b64'], b64: false }, claims));
      await refused(es256({ kid, typ: 'logout+jwt' }, claims));
      await refused(es256({ kid, jwk: { kty: 'oct' } }, { ...claims, type: 'refresh' }));
    });

    it('is for somebody else, from somebody else, or of nobody', async () => {
      for (const wrong of [
        { aud: 'others' },
        { iss: 'others' },
        { sub: 'x' },
        { sub: undefined },
        { sid: undefined },
        { jti: undefined },
        { exp: undefined },
        { exp: 'never' },
        { roles: ['king'] },
        { roles: [] },
        { type: undefined },
      ]) {
        await refused(es256({ kid }, { ...claims, ...wrong }));
      }
    });

    it('is not good yet, no longer, or too long', async () => {
      await refused(es256({ kid }, { ...claims, nbf: now() + 60 }));
      dataOf(await me(es256({ kid }, { ...claims, nbf: now() - 60 })));
      await refused(es256({ kid }, { ...claims, exp: now() - 1 }), '401 TOKEN_EXPIRED');
      // Expired is said of what would have been good only.
      await refused(es256({ kid }, { ...claims, exp: now() - 1, type: 'refresh' }));
      await refused(es256({ kid }, { ...claims, note: 'x'.repeat(4000) }));
      await refused('x'.repeat(5000));
    });

    it('has expired since it was seen last', async () => {
      const token = es256({ kid }, { ...claims, exp: now() + 2, jti: randomUUID() });
      dataOf(await me(token));
      dataOf(await me(token));
      await sleep(2100);
      await refused(token, '401 TOKEN_EXPIRED');
      await refused(token, '401 TOKEN_EXPIRED');
    });
  });
});

describe('the server does not start with', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024, ...pem } as any) as unknown as KeyPair;
  const other = generateKeyPairSync('ec', { namedCurve: 'secp384r1', ...pem } as any) as unknown as KeyPair;

  it.each([
    ['a private key that is none', { JWT_PRIVATE_KEY: 'not-a-key-but-secret' }, 'JWT_PRIVATE_KEY'],
    ['a public key to sign with', { JWT_PRIVATE_KEY: ec.publicKey }, 'JWT_PRIVATE_KEY'],
    ['an RSA key that is too short', { JWT_PRIVATE_KEY: small.privateKey }, 'JWT_PRIVATE_KEY'],
    ['a key on another curve', { JWT_PRIVATE_KEY: other.privateKey }, 'JWT_PRIVATE_KEY'],
    ['a previous secret that is too short', { JWT_PREVIOUS_KEYS: `${JWT_SECRET},too-short` }, 'JWT_PREVIOUS_KEYS'],
    ['no key in production', { JWT_SECRET: '' }, 'JWT_SECRET'],
  ])('%s, and says which without quoting it', async (_, env: Record<string, string>, name) => {
    const server = Server.spawn({ NODE_ENV: 'production', JWT_SECRET, ...env });
    expect(await server.ended()).toBe(1);
    const output = server.stdout + server.stderr;
    expect(output.split('\n').filter((line) => line.startsWith(name))).toHaveLength(1);
    for (const value of Object.values(env)) {
      const secrets = value.split('\n').filter((line) => line.length > 8 && !line.startsWith('-----'));
      for (const secret of secrets) expect(output).not.toContain(secret);
    }
  });
});
