import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server } from './server.js';

jest.setTimeout(120_000);

const README = readFileSync(join(__dirname, '../README.md'), 'utf8');
const PORT = 3000;

/** The commands of the `sh` blocks below a heading, in their order. */
const commandsBelow = (heading: string): string[] =>
  [...(README.split(`## ${heading}\n`)[1] ?? '').split('\n## ')[0]!.matchAll(/```sh\n([\s\S]*?)```/g)].map(
    ([, command]) => command!.trim(),
  );

/** What bash says to the script, as one who types it sees it, with `input` for what it asks. */
async function play(script: string, input: string): Promise<string> {
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  shell.stdin.end(input);
  const [code] = (await once(shell, 'close')) as [number];
  if (code !== 0) throw new Error(`The story ended with ${code}: ${output}`);
  return output;
}

describe('the README', () => {
  let server: Server;
  let dataDir: string;
  let password: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'stoa-readme-'));
    server = await Server.start({ PORT: '0', DATA_DIR: dataDir, SHUTDOWN_DELAY: '0' });
    for (const deadline = Date.now() + 10_000; Date.now() < deadline && !/Docs/.test(server.stdout);)
      await new Promise((wake) => setTimeout(wake, 20));
    password = /Admin {2}admin@example\.com {2}(\S+)/.exec(server.stdout)?.[1] ?? '';
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await rm(dataDir, { recursive: true, force: true });
  });

  it('is greeted with where to go, by a server with nothing set', () => {
    expect(server.stdout).toContain(`${server.url}/docs`);
    expect(server.stdout).toContain(`${server.url}/api/v1`);
    expect(password).not.toBe('');
  });

  it('has an order paid by exactly the commands that it shows', async () => {
    const commands = commandsBelow('An order, paid, with curl');
    expect(commands.length).toBeGreaterThan(8);
    // Another server may have the port of the README: only that is changed.
    const script = commands.join('\n').replaceAll(`http://127.0.0.1:${PORT}`, server.url);
    const output = await play(script, `${password}\n`);
    expect(output).toMatch(/}paid\n$/);
  });

  it('names two commands, which are the ones that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(__dirname, '../package.json'), 'utf8')) as { scripts: object };
    expect(README).toMatch(/```sh\nnpm ci && npm start\n```/);
    expect(README).toMatch(/```sh\nnpm ci && npm test\n```/);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test']));
  });
});
