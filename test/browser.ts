import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser, type LaunchOptions } from 'playwright-core';

export type TestBrowser = Pick<Browser, 'newPage' | 'close'>;

/** No host but this machine resolves, by name or by number, so neither a page nor the browser itself calls outside. */
const args = [
  ...['--disable-gpu', '--disable-quic', '--disable-sync', '--no-proxy-server'],
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

function installedBrowser(): LaunchOptions | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = ['chromium', 'google-chrome'].flatMap((name) => folders.map((folder) => join(folder, name)));
  const executablePath = process.env.CHROMIUM_PATH || candidates.find((path) => existsSync(path));
  return executablePath ? { executablePath } : undefined;
}

/** Unpacks the browser of the npm package, and the libraries and the font it needs, which a bare system has not. */
async function unpackedBrowser(folder: string): Promise<LaunchOptions> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      'No browser: install Chromium or Chrome, or name one in CHROMIUM_PATH (the packaged one is x64 Linux).',
    );
  }
  // The package unpacks into TMPDIR, and the libraries only where it takes the machine for AWS Lambda. It gets a process
  // of its own, as os.tmpdir() does not see what a Jest test writes to process.env.
  const script = 'import(process.argv[1]).then((m) => m.default.executablePath()).then((path) => console.log(path))';
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['-e', script, createRequire(import.meta.url).resolve('@sparticuz/chromium')],
    { env: { ...process.env, TMPDIR: folder, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' } },
  );
  // Its own fonts.conf looks in /tmp, and a page for which there is no font at all crashes.
  const fonts = join(folder, 'fonts.conf');
  await writeFile(fonts, `<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/cache</cachedir></fontconfig>`);
  const env = { ...process.env, LD_LIBRARY_PATH: join(folder, 'al2023', 'lib'), FONTCONFIG_FILE: fonts };
  return { executablePath: stdout.trim(), env };
}

/** A headless browser: CHROMIUM_PATH, or else the system's, or else the one of the npm package. */
export async function openBrowser(): Promise<TestBrowser> {
  const folder = await mkdtemp(join(tmpdir(), 'test-browser-'));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  try {
    const browser = await chromium.launch({ ...(installedBrowser() ?? (await unpackedBrowser(folder))), args });
    return { newPage: () => browser.newPage(), close: () => browser.close().finally(removeFolder) };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}
