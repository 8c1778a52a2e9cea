// `npm start`, `npm run seed`: builds where there is no build yet, or the sources are newer than it, and runs the program.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const PROGRAM = process.argv[2] === 'seed' ? 'seed' : 'main';
if (PROGRAM === 'seed') process.argv.splice(2, 1);
const ENTRY = `dist/src/${PROGRAM}.js`;

const newest = (path) =>
  statSync(path).isDirectory()
    ? Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
    : statSync(path).mtimeMs;

const sources = [
  'src',
  'migrations',
  'tsconfig.json',
  'tsconfig.build.json',
  'nest-cli.json',
  // The build has the packages in it.
  'package-lock.json',
  'scripts/fold-packages.mjs',
];
const isStale = () => existsSync('src') && Math.max(...sources.map(newest)) > statSync(ENTRY).mtimeMs;

if (!existsSync(ENTRY) || isStale()) {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// In this very process, so that signals meet the server and nobody in between.
await import(new URL(`../${ENTRY}`, import.meta.url));
