import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { Redis } from 'ioredis';
import { cleanEnvironment } from './environment.js';
import { freePort } from './receiver.js';

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/** Where there is no redis-server its tests show as skipped, except in the check of a change: there it has to be. */
export const describeWithRedis = isInstalled || process.env.CI ? describe : describe.skip;

/** A Redis of our own, with nothing on disk, that can be killed, frozen and brought back. */
export class RedisServer {
  private process: ChildProcess | undefined;

  private constructor(private readonly port: number) {}

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.start();
    return server;
  }

  /** Where one would be, if it ran. */
  static async absent(): Promise<RedisServer> {
    return new RedisServer(await freePort());
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const settings = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.process = spawn('redis-server', settings, { cwd: tmpdir(), env: cleanEnvironment(), stdio: 'ignore' });
    for (let tries = 0; tries < 200; tries++) {
      if (await this.ask((client) => client.ping()).catch(() => '')) return;
      await new Promise((wake) => setTimeout(wake, 25));
    }
    throw new Error('redis-server did not start');
  }

  async kill(): Promise<void> {
    const { process } = this;
    this.process = undefined;
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }

  freeze(): void {
    this.process!.kill('SIGSTOP');
  }

  thaw(): void {
    this.process!.kill('SIGCONT');
  }

  /** Something on a connection of its own. */
  async ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await question(client);
    } finally {
      client.disconnect();
    }
  }
}
