import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanEnvironment } from './environment.js';
import { freePort } from './receiver.js';

const CONFIGURATION = resolve(__dirname, '../deploy/haproxy.cfg');

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
      .replace(/server-template .*/, servers);
    const folder = await mkdtemp(join(tmpdir(), 'stoa-haproxy-'));
    const file = join(folder, 'haproxy.cfg');
    await writeFile(file, configuration);
    const child = spawn('haproxy', ['-db', '-f', file], { cwd: folder, env: cleanEnvironment(), stdio: 'ignore' });
    const haproxy = new Haproxy(`http://127.0.0.1:${port}`, child, folder);
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(50)) {
      const answer = await fetch(`${haproxy.url}/health/ready`).catch(() => undefined);
      await answer?.text();
      if (answer?.status === 200) return haproxy;
    }
    await haproxy.stop();
    throw new Error('haproxy did not start');
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null) {
      this.process.kill('SIGKILL');
      await once(this.process, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
