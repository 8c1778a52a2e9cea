import { once } from 'node:events';
import type { Server } from 'node:http';
import { type Config, ConfigError } from './config.js';

/** A setting that is a port. */
export type PortSetting = 'PORT' | 'METRICS_PORT';

/**
 * Connections that wait to be accepted. Node accepts one in each turn of its loop, and one for which there is no room
 * comes again only after a second, and then after two more: the system's own bound is the better one.
 */
const BACKLOG = 4096;

/**
 * Resolves when it listens. Where the host is a name, at the first of its addresses.
 *
 * @throws ConfigError where the port is taken, or the host is none of this machine
 */
export async function listen(server: Server, { host }: Config, setting: PortSetting, port: number): Promise<void> {
  server.listen({ port, host, backlog: BACKLOG });
  await once(server, 'listening').catch((error: unknown) => {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const isOfPort = ['EADDRINUSE', 'EACCES'].includes(code);
    throw new ConfigError([`${isOfPort ? setting : 'HOST'} can not be listened on: ${message}`]);
  });
}
