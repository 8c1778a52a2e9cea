import { setTimeout as sleep } from 'node:timers/promises';
import { stopwatch } from './stopwatch.js';

const STEP_MS = 20;

/** Resolves once the condition holds; rejects when it does not within `patienceMs`. */
export async function until(condition: () => boolean | Promise<boolean>, patienceMs = 20_000): Promise<void> {
  for (const took = stopwatch(); !(await condition()); await sleep(STEP_MS)) {
    if (took() > patienceMs) throw new Error(`Not so within ${patienceMs} ms: ${String(condition)}`);
  }
}
