/** Ends the program with what went wrong, in a line for each fault. */
export function fail(error: unknown, code = 1): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(code);
}
