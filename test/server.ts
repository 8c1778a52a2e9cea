import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { cleanEnvironment } from './environment.js';

const MAIN = resolve(__dirname, '../dist/src/main.js');
const WORKER = resolve(__dirname, '../dist/src/worker.js');
const START_MS = 40_000;

export type LogLine = Record<string, unknown> & { msg?: string };

/** The built server in a process of its own, as it is run in earnest. */
export class Server {
  url = '';
  stdout = '';
  stderr = '';
  private constructor(private readonly process: ChildProcess) {
    process.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  static spawn(env: Readonly<Record<string, string>>, program = MAIN): Server {
    // Not in the project's folder, so that no .env there has a say.
    const options = {
      cwd: tmpdir(),
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'] as const,
    };
    return new Server(spawn(process.execPath, [program], { ...options, stdio: [...options.stdio] }));
  }

  /** Resolves when it has ended by itself; one that does not is killed, and has no exit code. */
  static async refused(env: Readonly<Record<string, string>>, program = MAIN): Promise<Server> {
    const server = Server.spawn(env, program);
    const patience = setTimeout(() => void server.kill(), START_MS);
    await server.ended();
    clearTimeout(patience);
    return server;
  }

  /** Resolves when it says that it listens. */
  static async start(env: Readonly<Record<string, string>>): Promise<Server> {
    return Server.startAs(MAIN, 'Listening', env);
  }

  /** A process that works jobs and serves nobody. */
  static async startWorker(env: Readonly<Record<string, string>>): Promise<Server> {
    return Server.startAs(WORKER, 'Working jobs', env);
  }

  private static async startAs(program: string, ready: string, env: Readonly<Record<string, string>>): Promise<Server> {
    const server = Server.spawn(env, program);
    for (const deadline = Date.now() + START_MS; ; await new Promise((wake) => setTimeout(wake, 10))) {
      const line = server.logs().find(({ msg }) => msg === ready);
      if (line !== undefined) {
        server.url = typeof line.url === 'string' ? line.url : '';
        return server;
      }
      if (server.hasEnded || Date.now() > deadline) {
        await server.kill();
        throw new Error(`The server did not start:\n${server.stdout}\n${server.stderr}`);
      }
    }
  }

  /** What it logged so far; lines that are no JSON appear as their text. */
  logs(): LogLine[] {
    return this.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        try {
          return JSON.parse(line) as LogLine;
        } catch {
          return { msg: line };
        }
      });
  }

  /** Asks it to end, and returns its exit code. */
  async stop(): Promise<number | null> {
    return this.end('SIGTERM');
  }

  /** Sends it a signal, and waits for nothing. */
  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Waits until it ends by itself. */
  async ended(): Promise<number | null> {
    if (!this.hasEnded) await once(this.process, 'close');
    return this.process.exitCode;
  }

  private get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  private end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.hasEnded) this.process.kill(signal);
    return this.ended();
  }
}
