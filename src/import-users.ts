import 'reflect-metadata';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { NestFactory } from '@nestjs/core';
import { SingleBar } from 'cli-progress';
import { parse } from 'csv-parse/sync';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';
import { connect } from './database/connect.js';
import { prepareSchema } from './database/migrate.js';
import { fillIn } from './development.js';
import { fail } from './fail.js';
import { UsersImport } from './modules/users/index.js';
import { createLogger, NestLogger } from './telemetry/logger.js';

const USAGE = 'npm run users:import -- FILE.csv    with the columns email, name, role and hash';
const COLUMNS = ['email', 'name', 'role', 'hash'] as const;
/** In one transaction: large enough to be fast, small enough to be nothing to anybody who waits for it. */
const BATCH = 500;
const LONGEST_LINE = 10_000;

interface Outcome {
  added: number;
  skipped: number;
  bad: number;
}

type Foreign = Exclude<ReturnType<UsersImport['read']>, string>;

/** Reads users from a file, a piece at a time, and goes on after a bad line. It may be run again: who is there stays. */
class Run {
  private readonly outcome: Outcome = { added: 0, skipped: 0, bad: 0 };
  private batch: Foreign[] = [];
  private readonly bar = new SingleBar({ format: '{bar} {percentage} %  {lines} lines', stream: process.stderr });

  constructor(private readonly users: UsersImport) {}

  async read(path: string): Promise<Outcome> {
    const file = await open(path);
    const { size } = await file.stat();
    await file.close();
    // On nothing but a terminal: it would fill a log with pieces of itself.
    if (process.stderr.isTTY) this.bar.start(size, 0, { lines: 0 });
    try {
      await this.readRecords(path);
      await this.flush();
    } finally {
      this.bar.stop();
    }
    return this.outcome;
  }

  private async readRecords(path: string): Promise<void> {
    const file = createReadStream(path);
    let header: string[] | undefined;
    let line = 0;
    // Line by line: a quote that is never closed spoils one of them, and not all that follow.
    for await (const text of createInterface({ input: file, crlfDelay: Infinity })) {
      this.bar.update(file.bytesRead, { lines: ++line });
      if (text.trim() === '') continue;
      const record = recordOf(text);
      if (header === undefined) header = headerOf(record ?? []);
      else if (record === undefined) this.refuse(line, 'it is not CSV');
      else await this.take(fieldsOf(header, record), line);
    }
    if (header === undefined) throw new Error('The file is empty');
  }

  private async take(fields: Record<(typeof COLUMNS)[number], string> | undefined, line: number): Promise<void> {
    const user = fields === undefined ? 'it has not as many fields as the first line' : this.users.read(fields);
    if (typeof user === 'string') this.refuse(line, user);
    else if (this.batch.push(user) >= BATCH) await this.flush();
  }

  private async flush(): Promise<void> {
    const added = this.batch.length === 0 ? 0 : await this.users.add(this.batch);
    this.outcome.added += added;
    this.outcome.skipped += this.batch.length - added;
    this.batch = [];
  }

  private refuse(line: number, reason: string): void {
    this.outcome.bad++;
    process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}Line ${line}: ${reason}\n`);
  }
}

/** The fields of one line; undefined where it is not CSV. */
function recordOf(text: string): string[] | undefined {
  if (text.length > LONGEST_LINE) return undefined;
  try {
    return parse(text, { bom: true, relax_column_count: true })[0];
  } catch {
    return undefined;
  }
}

/** The names in the first line, in whatever order. */
function headerOf(record: readonly string[]): string[] {
  const header = record.map((name) => name.trim().toLowerCase());
  const isWhole = header.length === COLUMNS.length && COLUMNS.every((column) => header.includes(column));
  if (!isWhole) throw new Error(`The first line must name the columns ${COLUMNS.join(', ')}`);
  return header;
}

function fieldsOf(
  header: readonly string[],
  record: readonly string[],
): Record<(typeof COLUMNS)[number], string> | undefined {
  const last = header.length - 1;
  // There are commas in an argon2 hash; where it comes last it is whole even without quotes.
  const fields = header[last] === 'hash' ? [...record.slice(0, last), record.slice(last).join()] : record.slice();
  if (fields.length !== header.length || record.length < header.length) return undefined;
  return Object.fromEntries(header.map((name, index) => [name, fields[index]])) as Record<
    (typeof COLUMNS)[number],
    string
  >;
}

async function main(path: string | undefined): Promise<number> {
  if (path === undefined) throw new Error(`Usage: ${USAGE}`);
  const given = readConfig();
  const logger = createLogger(given.with({ logLevel: 'warn' }));
  const { config, embedded } = await fillIn(given, () => undefined);
  const dataSource = await connect(config, logger, (each) => prepareSchema(config, each, logger));
  try {
    const app = await NestFactory.createApplicationContext(AppModule.offline(config, logger, dataSource), {
      logger: new NestLogger(logger),
      abortOnError: false,
    });
    const { added, skipped, bad } = await new Run(app.get(UsersImport)).read(path);
    await app.close();
    process.stdout.write(`${added} imported, ${skipped} skipped (email exists), ${bad} bad lines\n`);
    return bad === 0 ? 0 : 1;
  } finally {
    await dataSource.destroy();
    await embedded?.stop();
  }
}

main(process.argv[2]).then((code) => process.exit(code), fail);
