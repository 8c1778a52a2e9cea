import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Config } from '../config.js';
import { listen, type PortSetting } from '../listening.js';
import { VARY } from './accept.js';
import { answerBrokenRequest } from './broken-requests.js';
import { refuse } from './refuse.js';
import { pathOf } from './request.js';

const LIVE = { status: 'healthy', checks: {} };
const AWAY = { status: 'unhealthy', checks: { database: 'disconnected', server: 'starting' } };
const HEALTH: Readonly<Record<string, object>> = { '/health/live': LIVE, '/health/ready': AWAY, '/health': AWAY };

/**
 * Answers where the server will, while there is no database to build it on. Nobody need end a process that waits, which
 * would only have to wait again.
 */
export class Standby {
  private readonly servers = new Set<Server>();

  constructor(private readonly config: Config) {}

  /** @throws ConfigError where it can not be listened on */
  async listen(setting: PortSetting, port: number | undefined): Promise<void> {
    if (port === undefined) return;
    const server = createServer(answer).on('clientError', answerBrokenRequest);
    await listen(server, this.config, setting, port);
    this.servers.add(server);
  }

  /** Nothing listens any more, and nobody is left on a connection that would get no answer. */
  async close(): Promise<void> {
    for (const server of this.servers) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
    this.servers.clear();
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const health = HEALTH[pathOf(request.url)];
  if (health === undefined || !['GET', 'HEAD'].includes(request.method ?? '')) {
    refuse(request, response, 'The server waits for its database, try again');
    return;
  }
  response
    .setHeader('Content-Type', 'application/json; charset=utf-8')
    .setHeader('Cache-Control', 'private, no-cache')
    .setHeader('Vary', VARY);
  if (health !== LIVE) response.writeHead(503, { 'Retry-After': 1 });
  response.end(JSON.stringify(health));
}
