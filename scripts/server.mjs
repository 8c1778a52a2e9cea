import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Runs the built server on an embedded database of its own for as long as `use` takes. */
export async function withServer(use) {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-script-'));
  const env = { ...process.env, NODE_ENV: 'test', PORT: '0', DATA_DIR: dataDir, DATABASE_URL: '' };
  const server = spawn(process.execPath, ['dist/src/main.js'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  try {
    return await use(await urlOf(server));
  } finally {
    server.kill('SIGTERM');
    await ended;
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function urlOf(server) {
  const said = [];
  for await (const line of createInterface({ input: server.stdout })) {
    said.push(line);
    // Beside its log, it greets people.
    const { msg, url } = line.startsWith('{') ? JSON.parse(line) : {};
    if (msg === 'Listening') {
      server.stdout.resume();
      return url;
    }
  }
  throw new Error(`The server ended before it listened, and said:\n${said.join('\n')}`);
}
