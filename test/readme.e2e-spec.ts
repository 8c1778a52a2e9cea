import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './receiver.js';
import { Server } from './server.js';

jest.setTimeout(120_000);

const ROOT = join(__dirname, '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The commands of the `sh` blocks below a heading, in their order. */
const commandsBelow = (heading: string): string[] =>
  [...(README.split(`## ${heading}\n`)[1] ?? '').split('\n## ')[0]!.matchAll(/```sh\n([\s\S]*?)```/g)].map(
    ([, command]) => command!.trim(),
  );

/** What bash says to the script, as one who types it sees it, with `input` for what it asks, until that is `wanted`. */
async function play(script: string, input: string, wanted: RegExp, env: Record<string, string>): Promise<string> {
  // What it began in the background goes on until it is told so.
  const whole = `${script}\nread -r -t 60 _\nkill $!`;
  const options = { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] as const };
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', whole], { ...options, stdio: [...options.stdio] });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (wanted.test(output)) shell.stdin.end('\n');
  });
  shell.stdin.write(input);
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
    server = await Server.start({ PORT: '0', DATA_DIR: dataDir, SHUTDOWN_DELAY: '0', WEBHOOK_ALLOW_PRIVATE: 'true' });
    for (const deadline = Date.now() + 10_000; Date.now() < deadline && !/Docs/.test(server.stdout);)
      await new Promise((wake) => setTimeout(wake, 20));
    password = /Admin {2}admin@example\.com {2}(\S+)/.exec(server.stdout)?.[1] ?? '';
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await rm(dataDir, { recursive: true, force: true });
  });

  it('is greeted with where to go, by a server with hardly anything set', () => {
    expect(server.stdout).toContain(`${server.url}/docs`);
    expect(server.stdout).toContain(`${server.url}/api/v1`);
    expect(password).not.toBe('');
  });

  it('has an order paid, and another one arrive in the receiver, by exactly the commands that it shows', async () => {
    const [first, second] = [commandsBelow('An order, paid, with curl'), commandsBelow('The next one, in a receiver')];
    expect([first.length > 8, second.length]).toEqual([true, 3]);
    // Others may have the ports of the README: only those are changed.
    const port = String(await freePort());
    const script = [...first, ...second]
      .join('\n')
      .replaceAll('http://127.0.0.1:3000', server.url)
      .replaceAll('http://127.0.0.1:4000', `http://127.0.0.1:${port}`);
    const arrived = /"type":"order\.created".*\n/;
    const output = await play(script, `${password}\n`, arrived, { PORT: port });
    expect(output).toMatch(/}paid\n/);
    const [line] = output.split('\n').filter((each) => arrived.test(`${each}\n`));
    expect(output).toContain(`\n${JSON.parse(line!).data.id}\n`);
  });

  it('names two commands, which are the ones that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
    expect(README).toMatch(/```sh\nnpm ci && npm start\n```/);
    expect(README).toMatch(/```sh\nnpm ci && npm test\n```/);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test']));
  });
});
