import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Mail, newestMailTo } from './mail.js';
import { Contract } from './openapi.js';
import { type LogLine, Server } from './server.js';
import { Holder, query, type Row, withDatabase } from './sql.js';

jest.setTimeout(60_000);

export const PASSWORD = 'Correct-Horse-7';
export const ADMIN = { email: 'admin@example.com', password: 'Correct-Horse-9' };
export const JWT_SECRET = 'a-secret-of-forty-characters-for-testing';
/** The id of nothing. */
export const NOTHING = '01890000-0000-7000-8000-000000000000';

export interface Answer {
  status: number;
  headers: Headers;
  /** The JSON that came; undefined where there was none. */
  body: any;
  text: string;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  user: { id: string; email: string; name: string; role: string; version: number };
}

export interface RequestOptions {
  token?: string | undefined;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, as JSON unless the headers say otherwise. */
  raw?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
}

/** Sends requests as one and the same person, or as nobody. */
export class Client {
  constructor(
    readonly app: App,
    readonly token?: string,
  ) {}

  get = (path: string, headers?: Record<string, string>) => this.send('GET', path, { headers });
  post = (path: string, body?: unknown, headers?: Record<string, string>) => this.send('POST', path, { body, headers });
  put = (path: string, body?: unknown, headers?: Record<string, string>) => this.send('PUT', path, { body, headers });
  patch = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send('PATCH', path, { body, headers });
  delete = (path: string, headers?: Record<string, string>) => this.send('DELETE', path, { headers });

  private send(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string> | undefined },
  ) {
    return this.app.request(method, path, { token: this.token, body: options.body, headers: options.headers ?? {} });
  }
}

/** A client that somebody has logged in with. */
export class UserClient extends Client {
  constructor(
    app: App,
    readonly tokens: Tokens,
  ) {
    super(app, tokens.accessToken);
  }

  get user() {
    return this.tokens.user;
  }

  get id() {
    return this.tokens.user.id;
  }
}

/**
 * One way to start it: the built server in its own process, with a database and a folder of its own.
 *
 * @param through what the server shall take for the URL of its database
 */
export async function startApp(
  env: Readonly<Record<string, string>> = {},
  through: (url: string) => string = (url) => url,
): Promise<App> {
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-app-'));
  const databaseUrl = env.DATABASE_URL ?? (await cloneDatabase());
  const settings = {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: through(databaseUrl),
    DATA_DIR: dataDir,
    JWT_SECRET,
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMIT_ANONYMOUS: '0',
    RATE_LIMIT_USER: '0',
    RATE_LIMIT_LOGIN: '0',
    LOG_LEVEL: 'info',
    SHUTDOWN_DELAY: '0',
    ...env,
  };
  const app = new App(settings, databaseUrl, env.DATABASE_URL === undefined);
  try {
    await app.start();
    return app;
  } catch (error) {
    await app.stop();
    throw error;
  }
}

export class App {
  private server: Server | undefined;
  private contract: Promise<Contract> | undefined;
  private loggedInAdmin: Promise<UserClient> | undefined;
  private count = 0;

  constructor(
    private readonly settings: Readonly<Record<string, string>> & { DATA_DIR: string },
    readonly databaseUrl: string,
    private readonly ownsDatabase: boolean,
  ) {}

  get url(): string {
    return this.server!.url;
  }

  get dataDir(): string {
    return this.settings.DATA_DIR;
  }

  get anonymous(): Client {
    return new Client(this);
  }

  as(token: string): Client {
    return new Client(this, token);
  }

  logs(): LogLine[] {
    return this.server!.logs();
  }

  /** The log lines that are such, as soon as there are any: a request is logged after it has been answered. */
  async logged(isSuch: (line: LogLine) => boolean): Promise<LogLine[]> {
    for (const deadline = Date.now() + 5000; ; await sleep(10)) {
      const lines = this.logs().filter(isSuch);
      if (lines.length > 0 || Date.now() > deadline) return lines;
    }
  }

  /** Everything that it ever wrote. */
  output(): string {
    return this.server!.stdout + this.server!.stderr;
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.server = await Server.start({ ...this.settings, ...env });
  }

  async restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.server!.stop();
    await this.start(env);
  }

  signal(signal: NodeJS.Signals): void {
    this.server!.signal(signal);
  }

  kill(): Promise<void> {
    return this.server!.kill();
  }

  /** The process that it runs in now. */
  get pid(): number {
    return this.server!.pid;
  }

  /** Waits until it ends by itself, and returns its exit code. */
  ended(): Promise<number | null> {
    return this.server!.ended();
  }

  /** Works the same jobs, in a process of its own. */
  startWorker(env: Readonly<Record<string, string>> = {}): Promise<Server> {
    return Server.startWorker({ ...this.settings, ...env });
  }

  /** The newest mail to this address, as soon as there is one: it is sent after the answer. */
  mailTo(address: string): Promise<Mail> {
    return newestMailTo(address, join(this.dataDir, 'mail'));
  }

  /** Ends it as an operator would, removes all that it used, and returns its exit code. */
  async end(): Promise<number | null> {
    const code = (await this.server?.stop()) ?? null;
    await this.stop();
    return code;
  }

  /** Ends it at once, as nobody needs it any more, and removes all that it used. */
  async stop(): Promise<void> {
    await this.server?.kill();
    if (this.ownsDatabase) await dropDatabase(this.databaseUrl);
    await rm(this.settings.DATA_DIR, { recursive: true, force: true, maxRetries: 3 });
  }

  sql(text: string, values?: unknown[]): Promise<Row[]> {
    return query(this.databaseUrl, text, values);
  }

  /** Runs a statement in a transaction that stays open, with all that it has locked, until it is let go. */
  async hold(text: string, values: unknown[] = []): Promise<Holder> {
    return Holder.of(this.databaseUrl, text, values);
  }

  /** Sends a request, and fails where the answer is not what the OpenAPI document promises. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const url = new URL(this.url + (isWhole(path) ? path : `/api/v1${path}`));
    const answer = await exchange(url, method, options);
    const contentType = answer.headers.get('content-type');
    const { status, body, text } = answer;
    (await this.openapi()).check({ method, path: url.pathname, status, contentType, body, text });
    return answer;
  }

  async admin(): Promise<UserClient> {
    this.loggedInAdmin ??= this.login(ADMIN.email, ADMIN.password);
    return this.loggedInAdmin;
  }

  /** Somebody new. */
  async register(name = 'Ann Archer'): Promise<UserClient> {
    const email = `${name.toLowerCase().replace(/\W+/g, '.')}.${++this.count}@example.com`;
    return new UserClient(
      this,
      dataOf(await this.anonymous.post('/auth/register', { email, name, password: PASSWORD }), 201),
    );
  }

  async login(email: string, password = PASSWORD): Promise<UserClient> {
    return new UserClient(this, dataOf(await this.anonymous.post('/auth/login', { email, password }), 200));
  }

  async moderator(): Promise<UserClient> {
    const { id, user } = await this.register('Mo Moderator');
    dataOf(await (await this.admin()).patch(`/users/${id}`, { role: 'moderator' }), 200);
    return this.login(user.email);
  }

  /** One of whose sessions and rights nobody else makes use. */
  async anotherAdmin(): Promise<UserClient> {
    const { id, user } = await this.register('Ada Admin');
    dataOf(await (await this.admin()).patch(`/users/${id}`, { role: 'admin' }), 200);
    return this.login(user.email);
  }

  /** A product that can be bought. */
  async product(overrides: Record<string, unknown> = {}): Promise<any> {
    const sku = `SKU-${++this.count}-${randomBytes(3).toString('hex')}`;
    const product = { sku, name: 'Mug', price: 1000, currency: 'EUR', stock: 10, status: 'active', ...overrides };
    return dataOf(await (await this.admin()).post('/products', product), 201);
  }

  /** An account with money in it. */
  async funded(client: Client, amount: number, currency = 'EUR'): Promise<string> {
    const { id } = dataOf(await client.post('/accounts', { currency }), 201);
    if (amount > 0) dataOf(await (await this.admin()).post('/deposits', { accountId: id, amount }), 201);
    return id;
  }

  private openapi(): Promise<Contract> {
    this.contract ??= exchange(new URL(`${this.url}/openapi.json`), 'GET').then(({ body }) => new Contract(body));
    return this.contract;
  }
}

/** The `data` of an answer that has to have this status. */
export function dataOf(answer: Answer, status = 200): any {
  if (answer.status !== status) throw new Error(`Expected ${status}, not ${answer.status}: ${answer.text}`);
  return answer.body.data;
}

/** Status and code of a failure, as `422 VALIDATION_ERROR`. */
export const failureOf = ({ status, body }: Answer): string => `${status} ${body?.error?.code}`;

/** The fields that a failure names. */
export const fieldsOf = ({ body }: Answer): string[] => (body.error.details ?? []).map((each: any) => each.field);

const isWhole = (path: string) => /^\/(api|health|docs|openapi|metrics|\.well-known)/.test(path);

/** Sends a request to any server, whatever it promises. */
export async function exchange(url: URL, method: string, options: RequestOptions = {}): Promise<Answer> {
  const { token, body, raw, headers } = options;
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const response = await fetch(url, {
    method,
    headers: {
      ...(payload !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(payload !== undefined && { body: payload }),
    redirect: 'manual',
  });
  const text = await response.text();
  const isJson = method !== 'HEAD' && /json(;|$)/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : undefined, text };
}

/** A database of its own, as it is after all migrations. Whoever made it drops it. */
export const cloneDatabase = (): Promise<string> => createDatabase((template) => template);

/** A database of its own with nothing in it. Whoever made it drops it. */
export const emptyDatabase = (): Promise<string> => createDatabase(() => 'template0');

async function createDatabase(from: (template: string) => string): Promise<string> {
  const { TEST_SERVER_URL: server, TEST_TEMPLATE: template } = process.env;
  if (server === undefined || template === undefined) throw new Error('test/global-setup.ts has not run');
  const name = `${template.replace('template', 'test')}_${randomBytes(6).toString('hex')}`;
  await query(server, `CREATE DATABASE ${name} TEMPLATE ${from(template)}`);
  return withDatabase(server, name);
}

export async function dropDatabase(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await query(process.env.TEST_SERVER_URL!, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}
