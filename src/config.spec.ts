import { type ConfigError, readConfig } from './config.js';

const faultsOf = (environment: Record<string, string>): readonly string[] => {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    return (error as ConfigError).faults;
  }
};

const PRODUCTION = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://stoa:hunter2@db.internal/stoa',
  JWT_SECRET: 'a-secret-of-forty-characters-for-testing',
};

describe('the configuration', () => {
  it('needs nothing in development', () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      environment: 'development',
      host: '127.0.0.1',
      port: 3000,
      databaseUrl: undefined,
      databasePool: { min: 2, max: 10, idleMs: 30_000, acquireMs: 30_000 },
      dataDir: '.data',
      migrate: true,
      accessTokenTtl: 900,
      refreshTokenTtl: 604_800,
      refreshReuseGrace: 10,
      rateLimit: { anonymous: 100, user: 1000, window: 900 },
      jobs: 'inline',
      smtpUrl: undefined,
      mailFrom: 'Stoa <no-reply@localhost>',
      orderTtl: 1800,
      shutdownTimeout: 25,
    });
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ PORT: '', DATABASE_URL: '', LOG_LEVEL: '', CORS_ORIGINS: '' })).toEqual(readConfig({}));
  });

  it('needs a database and a signing key in production', () => {
    const faults = faultsOf({ NODE_ENV: 'production' });
    for (const name of ['DATABASE_URL', 'JWT_SECRET']) {
      expect(faults.filter((fault) => fault.includes(name))).toHaveLength(1);
    }
  });

  it('names every fault once, and never a value', () => {
    const faults = faultsOf({
      ...PRODUCTION,
      JWT_SECRET: 'hunter3',
      ADMIN_EMAIL: 'admin@example.com',
      ADMIN_PASSWORD: 'hunter4',
      PORT: '3000x',
      SHUTDOWN_TIMEOUT: '0',
      CORS_ORIGINS: 'https://shop.example,*',
    });
    const named = faults.map((fault) => fault.split(' ', 1)[0]);
    expect(new Set(named)).toEqual(
      new Set(['JWT_SECRET', 'ADMIN_PASSWORD', 'PORT', 'SHUTDOWN_TIMEOUT', 'CORS_ORIGINS']),
    );
    expect(faults.join('\n')).not.toMatch(/hunter|3000x/);
  });

  it.each(['1e3', '-1', '0x10', '3.5', ' 1', '65536', '99999999999'])('refuses %p as a port', (PORT) => {
    expect(faultsOf({ PORT })).toEqual(['PORT must be a whole number from 0 to 65535']);
  });

  it('reads lists', () => {
    const { corsOrigins, trustProxy } = readConfig({
      CORS_ORIGINS: 'https://shop.example, http://localhost:5173',
      TRUST_PROXY: '10.0.0.0/8,::1',
    });
    expect(corsOrigins).toEqual(['https://shop.example', 'http://localhost:5173']);
    expect(trustProxy).toEqual(['10.0.0.0/8', '::1']);
  });

  it('sends mails from the host of the application, or from whom it is told to', () => {
    expect(readConfig({ APP_URL: 'https://shop.example:8443/app' }).mailFrom).toBe('Stoa <no-reply@shop.example>');
    for (const mailFrom of ['shop@shop.example', 'The Shop <shop@shop.example>']) {
      expect(readConfig({ MAIL_FROM: mailFrom }).mailFrom).toBe(mailFrom);
    }
    for (const mailFrom of ['shop', 'a@b.example, c@d.example', 'Shop <a@b.example>\r\nBcc: c@d.example']) {
      expect(faultsOf({ MAIL_FROM: mailFrom })).toEqual(['MAIL_FROM must be an address, or a name and <an address>']);
    }
  });

  it('never repeats the password of the mail server', () => {
    expect(faultsOf({ SMTP_URL: 'http://stoa:hunter2@mail.example' })).toEqual([
      'SMTP_URL must be a URL that begins with smtp:// or smtps://',
    ]);
  });

  it('makes links below the address of the application', () => {
    const token = 'a+b/c=&d';
    const link = 'verify-email?token=a%2Bb%2Fc%3D%26d';
    for (const [environment, base] of [
      [{ APP_URL: 'https://shop.example' }, 'https://shop.example/'],
      [{ APP_URL: 'https://shop.example/app/' }, 'https://shop.example/app/'],
      [{ APP_URL: 'https://shop.example/app' }, 'https://shop.example/app/'],
      [{ HOST: '::1', PORT: '8080' }, 'http://[::1]:8080/'],
      [{}, 'http://127.0.0.1:3000/'],
    ] as const) {
      expect(readConfig(environment).linkTo('/verify-email', { token })).toBe(base + link);
    }
  });
});
