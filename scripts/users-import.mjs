// `npm run users:import -- FILE.csv`: takes over users from another system. Builds where there is no build yet.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const ENTRY = 'dist/src/import-users.js';

if (!existsSync(ENTRY)) {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
await import(new URL(`../${ENTRY}`, import.meta.url));
