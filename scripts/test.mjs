// All tests, with what else Jest is told. Many hold an answer against a clock, on a machine that may have other things to
// do: where no more than two files failed they get one more try, by themselves, and it is said. Those of test/races get
// none: a race that was lost once is lost.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const MOST = 2;

const jest = (...given) =>
  spawnSync(process.execPath, ['node_modules/jest/bin/jest.js', ...given], { stdio: 'inherit' }).status ?? 1;

const folder = mkdtempSync(join(tmpdir(), 'stoa-tests-'));
try {
  const outcome = join(folder, 'outcome.json');
  process.exitCode = jest('--json', `--outputFile=${outcome}`, ...process.argv.slice(2));
  if (process.exitCode !== 0) {
    const failed = JSON.parse(readFileSync(outcome, 'utf8'))
      .testResults.filter(({ status }) => status === 'failed')
      .map(({ name }) => relative('.', name));
    if (failed.length > 0 && failed.length <= MOST && !failed.some((file) => file.startsWith('test/races/'))) {
      console.log(`\nOnce more, by themselves: ${failed.join(', ')}\n`);
      process.exitCode = jest('--runInBand', '--runTestsByPath', ...failed);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
