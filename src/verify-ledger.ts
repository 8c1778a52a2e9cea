import 'reflect-metadata';
import { readConfig } from './config.js';
import { connect } from './database/connect.js';
import { fillIn } from './development.js';
import { fail } from './fail.js';
import { auditLedger } from './modules/ledger/index.js';
import { createLogger } from './telemetry/logger.js';

/** Checks all of the books against each other. Ends with 1 where anything is wrong, and says what. */
async function main(): Promise<number> {
  const given = readConfig();
  const { config, embedded } = await fillIn(given, () => undefined);
  const dataSource = await connect(config, createLogger(config));
  const runner = dataSource.createQueryRunner();
  try {
    // A batch with the shop's own account in it may read millions of entries.
    await runner.query('SET statement_timeout = 0');
    let faults = 0;
    const { accounts, transfers } = await auditLedger(
      (sql, parameters) => runner.query(sql, [...parameters]),
      (fault) => {
        faults += 1;
        process.stdout.write(`${fault}\n`);
      },
    );
    process.stdout.write(`${accounts} accounts and ${transfers} transfers checked, ${faults || 'nothing'} wrong\n`);
    return faults === 0 ? 0 : 1;
  } finally {
    await runner.release();
    await dataSource.destroy();
    await embedded?.stop();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => fail(error, 2),
);
