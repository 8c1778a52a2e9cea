import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { parseEnv } from 'node:util';
import { isCommonPassword, TOO_COMMON } from './common-passwords.js';
import { readPreviousKeys, readPrivateKey } from './signing-keys.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** Some variables are missing or wrong. `faults` has one line for each, which never repeats a value. */
export class ConfigError extends Error {
  constructor(readonly faults: readonly string[]) {
    super(faults.join('\n'));
  }
}

/**
 * What the environment says, read once at start and nowhere else. Durations are in the unit that their name ends in,
 * and in seconds where it ends in none.
 */
export class Config {
  declare readonly environment: 'development' | 'test' | 'production';
  declare readonly host: string;
  declare readonly port: number;
  /** Unset: an embedded PostgreSQL under `dataDir`. */
  declare readonly databaseUrl: string | undefined;
  /** Unset: every process counts and remembers for itself. */
  declare readonly redisUrl: string | undefined;
  declare readonly databasePool: { min: number; max: number; idleMs: number; acquireMs: number };
  declare readonly dataDir: string;
  declare readonly migrate: boolean;
  /** Signs tokens where there is no private key. With neither set one is made and kept in `dataDir`. */
  declare readonly jwtSecret: string | undefined;
  /** Signs tokens; a secret beside it still verifies those that it has signed. */
  declare readonly jwtPrivateKey: KeyObject | undefined;
  /** Keys that signed tokens in the past: they verify, and sign no more. */
  declare readonly jwtPreviousKeys: readonly KeyObject[];
  declare readonly accessTokenTtl: number;
  declare readonly refreshTokenTtl: number;
  declare readonly refreshReuseGrace: number;
  /** Requests, and failed logins, in a window of so many seconds; 0 means no limit. */
  declare readonly rateLimit: { anonymous: number; user: number; login: number; window: number };
  /** Addresses or networks whose `X-Forwarded-For` counts. */
  declare readonly trustProxy: readonly string[];
  declare readonly corsOrigins: readonly string[];
  declare readonly appUrl: string | undefined;
  declare readonly admin: { email: string; password: string | undefined } | undefined;
  /** `inline` works jobs in the server too; `off` leaves them to processes of their own. */
  declare readonly jobs: 'inline' | 'off';
  /** Unset: mails are written to `dataDir`, or, in production, not sent at all. */
  declare readonly smtpUrl: string | undefined;
  declare readonly mailFrom: string;
  declare readonly orderTtl: number;
  /** Who is told of what only an operator can mend. */
  declare readonly adminEmail: string | undefined;
  /** Whether webhooks may lead into private networks, where the server can reach what nobody outside should. */
  declare readonly webhookAllowPrivate: boolean;
  /** Seconds to wait before each attempt to deliver a webhook, the first included: there are as many attempts. */
  declare readonly webhookRetrySchedule: readonly number[];
  /** Seals the secrets of webhooks. Unset: a key that is derived from the signing key does. */
  declare readonly webhookSecretKey: string | undefined;
  /** Days after which an event is forgotten; 0 means never. */
  declare readonly eventsRetentionDays: number;
  declare readonly metricsPort: number | undefined;
  /** Where traces are sent to. Unset: none are made. */
  declare readonly otlpEndpoint: string | undefined;
  declare readonly logLevel: (typeof LOG_LEVELS)[number];
  /** How long a server that was told to stop goes on serving, so that load balancers notice that it is not ready. */
  declare readonly shutdownDelay: number;
  declare readonly shutdownTimeout: number;

  constructor(values: Settings) {
    Object.assign(this, values);
  }

  /** A link for people, below the address that they reach the application at: never the one that a request named. */
  linkTo(path: string, parameters: Readonly<Record<string, string>> = {}): string {
    const host = this.host.includes(':') ? `[${this.host}]` : this.host;
    const base = this.appUrl ?? `http://${host}:${this.port}`;
    const link = new URL(path.replace(/^\/+/, ''), base.replace(/\/*$/, '/'));
    for (const [name, value] of Object.entries(parameters)) link.searchParams.set(name, value);
    return link.href;
  }

  get inProduction(): boolean {
    return this.environment === 'production';
  }

  /** The same settings with some replaced. */
  with(changes: Partial<Settings>): Config {
    return new Config(Object.assign({}, this, changes));
  }
}

type Settings = Omit<Config, 'inProduction' | 'linkTo' | 'with'>;

/**
 * Reads and checks the whole environment.
 *
 * @throws ConfigError that lists every fault, not only the first.
 */
export function readConfig(environment: Environment = withDotEnv(process.env)): Config {
  const read = new Reader(environment);
  const mode = read.oneOf('NODE_ENV', ['development', 'test', 'production'], 'development');
  const inProduction = mode === 'production';

  const poolMax = read.integer('DATABASE_POOL_MAX', 10, { min: 1, max: 1000 });
  const adminEmail = read.text('ADMIN_EMAIL', /^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'an email address');
  const adminPassword = read.text('ADMIN_PASSWORD', /^(?=.*\p{Lu})(?=.*\p{Nd}).{8,128}$/su, PASSWORD_RULE);
  if (inProduction && adminPassword !== undefined && isCommonPassword(adminPassword)) {
    read.fault('ADMIN_PASSWORD', TOO_COMMON);
  }
  if (inProduction && (adminEmail === undefined) !== (adminPassword === undefined)) {
    read.fault(adminEmail === undefined ? 'ADMIN_EMAIL' : 'ADMIN_PASSWORD', 'is required with the other of the two');
  }
  const corsOrigins = read.list('CORS_ORIGINS', /^(\*|https?:\/\/[^\s/*]+)$/, 'origins such as https://shop.example');
  if (inProduction && corsOrigins.includes('*')) {
    read.fault('CORS_ORIGINS', 'must name the origins in production, not *');
  }

  const webhookRetrySchedule = read.list('WEBHOOK_RETRY_SCHEDULE', /^\d{1,6}$/, SCHEDULE_RULE).map(Number);
  if (webhookRetrySchedule.length > MOST_ATTEMPTS || webhookRetrySchedule.some((wait) => wait > LONGEST_WAIT)) {
    read.fault('WEBHOOK_RETRY_SCHEDULE', `must be ${SCHEDULE_RULE}, separated by commas`);
  }

  const redisUrl = read.url('REDIS_URL', ['redis:', 'rediss:'], { required: inProduction });
  if (redisUrl !== undefined && !/^\/?\d*$/.test(databaseOf(redisUrl))) {
    read.fault('REDIS_URL', 'may name a database by its number only, such as redis://host:6379/1');
  }

  const port = read.integer('PORT', 3000, { min: 0, max: 65_535 });
  const metricsPort = read.has('METRICS_PORT') ? read.integer('METRICS_PORT', 0, { min: 0, max: 65_535 }) : undefined;
  if (metricsPort === port && port !== 0) read.fault('METRICS_PORT', 'must be another than PORT');

  const appUrl = read.url('APP_URL', ['http:', 'https:']);
  const mailHost = appUrl === undefined ? 'localhost' : new URL(appUrl).hostname;

  const config = new Config({
    environment: mode,
    host: read.text('HOST', /^\S+$/, 'a host name or an IP address') ?? '127.0.0.1',
    port,
    databaseUrl: read.url('DATABASE_URL', ['postgres:', 'postgresql:'], { required: inProduction }),
    databasePool: {
      min: read.integer('DATABASE_POOL_MIN', Math.min(2, poolMax), { min: 0, max: poolMax }),
      max: poolMax,
      idleMs: read.integer('DATABASE_POOL_IDLE_MS', 30_000, { min: 0 }),
      acquireMs: read.integer('DATABASE_POOL_ACQUIRE_MS', 30_000, { min: 1 }),
    },
    redisUrl,
    dataDir: read.text('DATA_DIR', /^[^\0]+$/, 'a folder') ?? '.data',
    migrate: read.oneOf('MIGRATE', ['on', 'off'], 'on') === 'on',
    jwtSecret: read.text('JWT_SECRET', /^.{32,}$/s, 'at least 32 characters, unless JWT_PRIVATE_KEY is given', {
      required: inProduction && !read.has('JWT_PRIVATE_KEY'),
    }),
    jwtPrivateKey: read.parsed('JWT_PRIVATE_KEY', readPrivateKey, PRIVATE_KEY_RULE),
    jwtPreviousKeys: read.parsed('JWT_PREVIOUS_KEYS', readPreviousKeys, PREVIOUS_KEYS_RULE) ?? [],
    accessTokenTtl: read.integer('ACCESS_TOKEN_TTL', 900, { min: 1 }),
    refreshTokenTtl: read.integer('REFRESH_TOKEN_TTL', 604_800, { min: 1 }),
    refreshReuseGrace: read.integer('REFRESH_REUSE_GRACE', 10, { min: 0 }),
    rateLimit: {
      anonymous: read.integer('RATE_LIMIT_ANONYMOUS', 100, { min: 0 }),
      user: read.integer('RATE_LIMIT_USER', 1000, { min: 0 }),
      login: read.integer('RATE_LIMIT_LOGIN', 5, { min: 0 }),
      window: read.integer('RATE_LIMIT_WINDOW', 900, { min: 1 }),
    },
    trustProxy: read.list(
      'TRUST_PROXY',
      { test: isNetwork },
      'IP addresses, networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal',
    ),
    corsOrigins,
    appUrl,
    admin:
      adminEmail !== undefined || !inProduction
        ? { email: adminEmail ?? 'admin@example.com', password: adminPassword }
        : undefined,
    jobs: read.oneOf('JOBS', ['inline', 'off'], 'inline'),
    smtpUrl: read.url('SMTP_URL', ['smtp:', 'smtps:']),
    mailFrom:
      read.text('MAIL_FROM', MAILBOX, 'an address, or a name and <an address>') ?? `Stoa <no-reply@${mailHost}>`,
    orderTtl: read.integer('ORDER_TTL', 1800, { min: 1 }),
    adminEmail,
    webhookAllowPrivate: read.oneOf('WEBHOOK_ALLOW_PRIVATE', ['true', 'false'], 'false') === 'true',
    webhookRetrySchedule: webhookRetrySchedule.length > 0 ? webhookRetrySchedule : RETRY_SCHEDULE,
    webhookSecretKey: read.text('WEBHOOK_SECRET_KEY', /^.{32,}$/s, 'at least 32 characters'),
    eventsRetentionDays: read.integer('EVENTS_RETENTION_DAYS', 0, { min: 0, max: 36_500 }),
    metricsPort,
    otlpEndpoint: read.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    shutdownDelay: read.integer('SHUTDOWN_DELAY', 1, { min: 0 }),
    shutdownTimeout: read.integer('SHUTDOWN_TIMEOUT', 25, { min: 1 }),
  });

  if (read.faults.length > 0) throw new ConfigError(read.faults);
  return config;
}

/** At once, then after 5 s, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours: a little over three days. */
const RETRY_SCHEDULE = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
const MOST_ATTEMPTS = 50;
const LONGEST_WAIT = 604_800;
const SCHEDULE_RULE = `1 to ${MOST_ATTEMPTS} waits of 0 to ${LONGEST_WAIT} seconds`;

const MAILBOX = /^([^\s@<>,]+@[^\s@<>,]+|[^\r\n<>@,"]+ <[^\s@<>,]+@[^\s@<>,]+>)$/;
const PASSWORD_RULE = '8 to 128 characters with an upper-case letter and a digit';

const PRIVATE_KEY_RULE = 'an unencrypted private key in PEM: EC P-256 (ES256), or RSA of at least 2048 bits (RS256)';
const PREVIOUS_KEYS_RULE =
  'earlier keys: secrets of at least 32 characters, separated by commas, and private or public keys in PEM';

/** An address or a network, or one of those that have a name. */
function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  return (
    version !== 0 &&
    rest.length === 0 &&
    // Of all addresses there is no network that could be trusted.
    (bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)))
  );
}

/** What the client for Redis takes for the database: the path, and where there is none, a parameter. */
function databaseOf(redisUrl: string): string {
  const { pathname, searchParams } = new URL(redisUrl);
  return pathname.length > 1 ? pathname : (searchParams.get('db') ?? '');
}

/** Whether it can be read, and its user and password can be decoded. */
function isUrl(text: string): boolean {
  try {
    const { username, password } = new URL(text);
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** In development `.env` fills in what the environment leaves open; an empty variable counts as open. */
function withDotEnv(environment: Environment): Environment {
  if (environment.NODE_ENV !== undefined && !['', 'development'].includes(environment.NODE_ENV)) return environment;
  let file: Environment;
  try {
    file = parseEnv(readFileSync('.env', 'utf8'));
  } catch {
    return environment;
  }
  const set = Object.entries(environment).filter(([, value]) => value !== '');
  return { ...file, ...Object.fromEntries(set) };
}

/** Reads variables one by one and collects what is wrong with them. A value is never quoted: it may be a secret. */
class Reader {
  readonly faults: string[] = [];

  constructor(private readonly environment: Environment) {}

  fault(name: string, rule: string): undefined {
    const line = `${name} ${rule}`;
    if (!this.faults.includes(line)) this.faults.push(line);
    return undefined;
  }

  has(name: string): boolean {
    return (this.environment[name] ?? '') !== '';
  }

  text(name: string, pattern: RegExp, rule: string, { required = false } = {}): string | undefined {
    const value = this.environment[name];
    if (value === undefined || value === '') {
      return required ? this.fault(name, `is required in production: ${rule}`) : undefined;
    }
    return pattern.test(value) ? value : this.fault(name, `must be ${rule}`);
  }

  /** What `parse` makes of the value; `undefined` from it, or an error, means that the value is not acceptable. */
  parsed<T>(name: string, parse: (value: string) => T | undefined, rule: string): T | undefined {
    if (!this.has(name)) return undefined;
    return parse(this.environment[name] ?? '') ?? this.fault(name, `must be ${rule}`);
  }

  integer(name: string, fallback: number, { min, max = 2_147_483_647 }: { min: number; max?: number }): number {
    const value = this.environment[name];
    if (value === undefined || value === '') return fallback;
    const number = /^\d{1,10}$/.test(value) ? Number(value) : NaN;
    if (number >= min && number <= max) return number;
    this.fault(name, `must be a whole number from ${min} to ${max}`);
    return fallback;
  }

  oneOf<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.environment[name];
    if (value === undefined || value === '') return fallback;
    const choice = choices.find((each) => each === value);
    if (choice === undefined) this.fault(name, `must be one of ${choices.join(', ')}`);
    return choice ?? fallback;
  }

  list(name: string, pattern: Pick<RegExp, 'test'>, rule: string): string[] {
    if (!this.has(name)) return [];
    const values = (this.environment[name] ?? '').split(',').map((value) => value.trim());
    if (!values.every((value) => pattern.test(value))) this.fault(name, `must be ${rule}, separated by commas`);
    return values;
  }

  url(name: string, protocols: readonly string[], { required = false } = {}): string | undefined {
    const rule = `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`;
    const value = this.text(name, /^\S+$/, rule, { required });
    if (value === undefined) return undefined;
    const isOurs = protocols.some((protocol) => value.startsWith(`${protocol}//`));
    if (isOurs && !isUrl(value)) {
      return this.fault(
        name,
        'is no URL: a port is a number up to 65535, and special characters of a password are percent-encoded',
      );
    }
    if (!isOurs) return this.fault(name, `must be ${rule}`);
    return value;
  }
}
