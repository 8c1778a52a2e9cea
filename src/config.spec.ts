import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
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
  REDIS_URL: 'rediss://stoa:hunter2@redis.internal',
  JWT_SECRET: 'a-secret-of-forty-characters-for-testing',
};

describe('the configuration', () => {
  it('reads what is explained to who runs it, and nothing else', () => {
    const asked = new Set<string>();
    const get = (_: object, name: string) => void asked.add(name);
    readConfig(new Proxy({}, { get }));
    const manual = readFileSync(resolve(__dirname, '../docs/operations.md'), 'utf8');
    const table = manual.slice(manual.indexOf('## Settings'), manual.indexOf('## What it does'));
    const explained = [...table.matchAll(/^\| `([A-Z_]+)` /gm)].map(([, name]) => name);
    expect(explained.sort()).toEqual([...asked].sort());
  });

  it('takes a collector by its URL', () => {
    expect(readConfig({}).otlpEndpoint).toBeUndefined();
    expect(readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }).otlpEndpoint).toBe(
      'http://collector:4318',
    );
    expect(faultsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' })).toEqual([
      'OTEL_EXPORTER_OTLP_ENDPOINT must be a URL that begins with http:// or https://',
    ]);
  });

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
      rateLimit: { anonymous: 100, user: 1000, login: 5, window: 900 },
      jobs: 'inline',
      smtpUrl: undefined,
      mailFrom: 'Stoa <no-reply@localhost>',
      orderTtl: 1800,
      webhookAllowPrivate: false,
      webhookRetrySchedule: [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
      shutdownTimeout: 25,
    });
  });

  it('takes waits in seconds for the attempts to deliver a webhook', () => {
    expect(readConfig({ WEBHOOK_RETRY_SCHEDULE: '0, 1,60' }).webhookRetrySchedule).toEqual([0, 1, 60]);
    for (const wrong of ['soon', '0,-1', '1.5', '604801', Array(51).fill('1').join(',')]) {
      expect([wrong, faultsOf({ WEBHOOK_RETRY_SCHEDULE: wrong })]).toEqual([
        wrong,
        ['WEBHOOK_RETRY_SCHEDULE must be 1 to 50 waits of 0 to 604800 seconds, separated by commas'],
      ]);
    }
  });

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ PORT: '', DATABASE_URL: '', LOG_LEVEL: '', CORS_ORIGINS: '' })).toEqual(readConfig({}));
  });

  it('trusts only proxies that are addresses or networks', () => {
    const named = '10.0.0.1, 10.0.0.0/8, ::1, fd00::/8, loopback';
    expect(readConfig({ TRUST_PROXY: named }).trustProxy).toHaveLength(5);
    for (const wrong of ['999.1.1.1', '10.0.0.0/33', '10.0.0.0/', 'true', '1.2.3.4/8/8', '0.0.0.0/0', '::/0']) {
      expect(faultsOf({ TRUST_PROXY: wrong })).toHaveLength(1);
    }
  });

  it('says of a URL what is wrong with it', () => {
    for (const wrong of ['postgres://db:99999/stoa', 'postgres://db:port/stoa', 'postgresql://stoa:a/b@db/stoa'])
      expect(faultsOf({ DATABASE_URL: wrong })).toEqual([expect.stringMatching(/^DATABASE_URL is no URL: a port is/)]);
    for (const wrong of ['mysql://db/stoa', 'stoa', 'postgres:stoa'])
      expect(faultsOf({ DATABASE_URL: wrong })).toEqual([expect.stringContaining('begins with postgres://')]);
  });

  it('takes a password only where it can be decoded', () => {
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'SMTP_URL']) {
      const protocol = { DATABASE_URL: 'postgres', REDIS_URL: 'redis', SMTP_URL: 'smtp' }[name]!;
      expect(faultsOf({ [name]: `${protocol}://stoa:100%25@host` })).toEqual([]);
      expect(faultsOf({ [name]: `${protocol}://stoa:100%@host` })).toEqual([
        expect.stringMatching(`^${name} is no URL: .* percent-encoded$`),
      ]);
    }
  });

  it('takes a database of Redis by its number', () => {
    for (const right of ['redis://host', 'redis://host/', 'rediss://host:6380/15', 'redis://host?db=2'])
      expect([right, faultsOf({ REDIS_URL: right })]).toEqual([right, []]);
    for (const wrong of ['abc', '-1', '1.5', '1/', '1/2', '%31', '0x1', '?db=abc', '?db=-1'])
      expect([wrong, faultsOf({ REDIS_URL: `redis://stoa:hunter2@host/${wrong}` })]).toEqual([
        wrong,
        ['REDIS_URL may name a database by its number only, such as redis://host:6379/1'],
      ]);
  });

  it('needs a database, a Redis and a signing key in production', () => {
    const faults = faultsOf({ NODE_ENV: 'production' });
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'JWT_SECRET']) {
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

  it('takes no password for the first admin that everybody tries first, in production', () => {
    const admin = { ADMIN_EMAIL: 'admin@example.com', ADMIN_PASSWORD: 'Password1' };
    expect(faultsOf({ ...PRODUCTION, ...admin })).toEqual([
      'ADMIN_PASSWORD is one of the most common passwords, which are the first to be guessed',
    ]);
    expect(faultsOf(admin)).toEqual([]);
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
