import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

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
  declare readonly databasePool: { min: number; max: number; idleMs: number; acquireMs: number };
  declare readonly dataDir: string;
  declare readonly migrate: boolean;
  /** Signs tokens and cursors. Unset: one is made and kept in `dataDir`. */
  declare readonly jwtSecret: string | undefined;
  declare readonly accessTokenTtl: number;
  declare readonly refreshTokenTtl: number;
  declare readonly refreshReuseGrace: number;
  /** Requests in a window of so many seconds; 0 means no limit. */
  declare readonly rateLimit: { anonymous: number; user: number; window: number };
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
  /** Days after which an event is forgotten; 0 means never. */
  declare readonly eventsRetentionDays: number;
  declare readonly metricsPort: number | undefined;
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
  if (inProduction && (adminEmail === undefined) !== (adminPassword === undefined)) {
    read.fault(adminEmail === undefined ? 'ADMIN_EMAIL' : 'ADMIN_PASSWORD', 'is required with the other of the two');
  }
  const corsOrigins = read.list('CORS_ORIGINS', /^(\*|https?:\/\/[^\s/*]+)$/, 'origins such as https://shop.example');
  if (inProduction && corsOrigins.includes('*')) {
    read.fault('CORS_ORIGINS', 'must name the origins in production, not *');
  }

  const appUrl = read.url('APP_URL', ['http:', 'https:']);
  const mailHost = appUrl === undefined ? 'localhost' : new URL(appUrl).hostname;

  const config = new Config({
    environment: mode,
    host: read.text('HOST', /^\S+$/, 'a host name or an IP address') ?? '127.0.0.1',
    port: read.integer('PORT', 3000, { min: 0, max: 65_535 }),
    databaseUrl: read.url('DATABASE_URL', ['postgres:', 'postgresql:'], { required: inProduction }),
    databasePool: {
      min: read.integer('DATABASE_POOL_MIN', Math.min(2, poolMax), { min: 0, max: poolMax }),
      max: poolMax,
      idleMs: read.integer('DATABASE_POOL_IDLE_MS', 30_000, { min: 0 }),
      acquireMs: read.integer('DATABASE_POOL_ACQUIRE_MS', 30_000, { min: 1 }),
    },
    dataDir: read.text('DATA_DIR', /^[^\0]+$/, 'a folder') ?? '.data',
    migrate: read.oneOf('MIGRATE', ['on', 'off'], 'on') === 'on',
    jwtSecret: read.text('JWT_SECRET', /^.{32,}$/s, 'at least 32 characters', { required: inProduction }),
    accessTokenTtl: read.integer('ACCESS_TOKEN_TTL', 900, { min: 1 }),
    refreshTokenTtl: read.integer('REFRESH_TOKEN_TTL', 604_800, { min: 1 }),
    refreshReuseGrace: read.integer('REFRESH_REUSE_GRACE', 10, { min: 0 }),
    rateLimit: {
      anonymous: read.integer('RATE_LIMIT_ANONYMOUS', 100, { min: 0 }),
      user: read.integer('RATE_LIMIT_USER', 1000, { min: 0 }),
      window: read.integer('RATE_LIMIT_WINDOW', 900, { min: 1 }),
    },
    trustProxy: read.list(
      'TRUST_PROXY',
      /^([\da-fA-F.:]+(\/\d{1,3})?|loopback|linklocal|uniquelocal)$/,
      'IP addresses or networks',
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
    eventsRetentionDays: read.integer('EVENTS_RETENTION_DAYS', 0, { min: 0, max: 36_500 }),
    metricsPort: read.has('METRICS_PORT') ? read.integer('METRICS_PORT', 0, { min: 0, max: 65_535 }) : undefined,
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    shutdownDelay: read.integer('SHUTDOWN_DELAY', 1, { min: 0 }),
    shutdownTimeout: read.integer('SHUTDOWN_TIMEOUT', 25, { min: 1 }),
  });

  if (read.faults.length > 0) throw new ConfigError(read.faults);
  return config;
}

const MAILBOX = /^([^\s@<>,]+@[^\s@<>,]+|[^\r\n<>@,"]+ <[^\s@<>,]+@[^\s@<>,]+>)$/;
const PASSWORD_RULE = '8 to 128 characters with an upper-case letter and a digit';

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
    this.faults.push(`${name} ${rule}`);
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

  list(name: string, pattern: RegExp, rule: string): string[] {
    const values = (this.environment[name] ?? '').split(',').map((value) => value.trim());
    const given = values.filter((value) => value !== '');
    if (!given.every((value) => pattern.test(value))) this.fault(name, `must be ${rule}, separated by commas`);
    return given;
  }

  url(name: string, protocols: readonly string[], { required = false } = {}): string | undefined {
    const rule = `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`;
    const value = this.text(name, /^\S+$/, rule, { required });
    if (value === undefined) return undefined;
    if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
      return this.fault(name, `must be ${rule}`);
    return value;
  }
}
