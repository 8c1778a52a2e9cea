import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanEnvironment } from './environment.js';
import { freePort } from './receiver.js';

const CONFIGURATION = resolve(__dirname, '../deploy/haproxy.cfg');

const STATISTICS = '/haproxy';

/** Where there is no haproxy its tests show as skipped, except in the check of a change: there it has to be. */
const hasHaproxy = spawnSync('haproxy', ['-v']).status === 0 || Boolean(process.env.CI);
export const describeWithHaproxy = hasHaproxy ? describe : describe.skip;
export const itWithHaproxy = hasHaproxy ? it : it.skip;

/** The load balancer as it is deployed, before servers on ports of this machine. */
export class Haproxy {
  private constructor(
    readonly url: string,
    private readonly process: ChildProcess,
    private readonly folder: string,
  ) {}

  static async before(ports: readonly number[]): Promise<Haproxy> {
    const port = await freePort();
    const servers = ports.map((each) => `server stoa-${each} 127.0.0.1:${each}`).join('\n  ');
    const configuration = (await readFile(CONFIGURATION, 'utf8'))
      // Each takes two files, of which a machine for tests may have few.
      .replace(/maxconn .*/, 'maxconn 400')
      .replace(/bind .*/, `bind 127.0.0.1:${port}`)
      .replace(/server-template .*/, `${servers}\n  stats enable\n  stats uri ${STATISTICS}`);
    const folder = await mkdtemp(join(tmpdir(), 'stoa-haproxy-'));
    const file = join(folder, 'haproxy.cfg');
    await writeFile(file, configuration);
    const child = spawn('haproxy', ['-db', '-f', file], { cwd: folder, env: cleanEnvironment(), stdio: 'ignore' });
    const haproxy = new Haproxy(`http://127.0.0.1:${port}`, child, folder);
    try {
      await haproxy.finds(ports.length);
      return haproxy;
    } catch (error) {
      await haproxy.stop();
      throw error;
    }
  }

  /** Waits until it has found so many servers ready, and sends requests to all of them. */
  async finds(count: number): Promise<void> {
    let statistics = '';
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(50)) {
      statistics = await textOf(`${this.url}${STATISTICS};csv`);
      if (statistics.match(/^replicas,stoa-.*,UP,.*,L7OK,/gm)?.length === count) return;
    }
    throw new Error(`haproxy does not find ${count} servers ready: ${statistics}`);
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null) {
      this.process.kill('SIGKILL');
      await once(this.process, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/**
 * Nothing while nobody answers. Over a connection of its own: where a server dies, haproxy answers the first request of a
 * connection with 502, and just closes it on the next ones.
 */
function textOf(url: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    get(url, { agent: false }, (answer) => {
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('close', () => {
        resolve(text);
      });
    }).on('error', () => {
      resolve('');
    });
  });
}
