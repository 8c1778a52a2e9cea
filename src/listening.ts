import { once } from 'node:events';
import type { Server } from 'node:http';
import { type Config, ConfigError } from './config.js';

/** A setting that is a port. */
export type PortSetting = 'PORT' | 'METRICS_PORT';

/**
 * Resolves when it listens.
 *
 * @throws ConfigError where the port is taken, or the host is none of this machine
 */
export async function listen(server: Server, { host }: Config, setting: PortSetting, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening').catch((error: unknown) => {
    throw listeningFault(error, setting);
  });
}

/** Names the setting that has to change before anything can listen. */
export function listeningFault(error: unknown, setting: PortSetting): ConfigError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const isOfPort = ['EADDRINUSE', 'EACCES'].includes(code);
  return new ConfigError([`${isOfPort ? setting : 'HOST'} can not be listened on: ${message}`]);
}
