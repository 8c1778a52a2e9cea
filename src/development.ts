import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ConfigError } from './config.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './database/embedded-postgres.js';

/** What a machine with nothing set gets: a database of its own and a signing secret that outlives a restart. */
export async function fillIn(
  config: Config,
  say: (line: string) => void,
): Promise<{ config: Config; embedded: EmbeddedPostgres | undefined }> {
  const jwtSecret = config.jwtSecret ?? (config.jwtPrivateKey ? undefined : keptSecret(config.dataDir));
  if (config.databaseUrl !== undefined) return { config: config.with({ jwtSecret }), embedded: undefined };
  const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, say });
  return { config: config.with({ jwtSecret, databaseUrl: embedded.url }), embedded };
}

/** Made by whoever comes first; a link appears whole or not at all, so nobody reads half a secret. */
function keptSecret(dataDir: string): string {
  const path = join(dataDir, 'jwt-secret');
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(draft, randomBytes(48).toString('base64url'), { mode: 0o600 });
  } catch (error) {
    throw new ConfigError([`DATA_DIR can not be used: ${error instanceof Error ? error.message : String(error)}`]);
  }
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(draft);
  }
  return readFileSync(path, 'utf8');
}
