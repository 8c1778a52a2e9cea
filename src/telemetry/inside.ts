import { createServer, type Server } from 'node:http';
import type { Config } from '../config.js';
import { listen } from '../listening.js';
import type { Metrics } from './metrics.js';

/** What is asked by whoever runs it, of processes that serve requests and of those that do not. */
export interface Asked {
  live(): Promise<object>;
  ready(): Promise<{ status: string }>;
}

/**
 * Serves `/metrics` and the probes on a port of their own, where one is set, so that the outside need never see them.
 *
 * @throws ConfigError where it can not be listened on
 */
export async function serveInside(config: Config, metrics: Metrics, probes: Asked): Promise<Server | undefined> {
  if (config.metricsPort === undefined) return undefined;
  const pages = new Map<string, () => Promise<Page>>([
    ['/metrics', async () => ({ status: 200, type: metrics.contentType, text: await metrics.text() })],
    ['/health/live', async () => json(200, await probes.live())],
    [
      '/health/ready',
      async () => {
        const health = await probes.ready();
        return json(health.status === 'unhealthy' ? 503 : 200, health);
      },
    ],
  ]);
  const server = createServer((request, response) => {
    const page = pages.get(request.url?.split('?', 1)[0] ?? '');
    if (page === undefined) return response.writeHead(404).end();
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return response.writeHead(405, { Allow: 'GET, HEAD' }).end();
    page().then(
      ({ status, type, text }) => response.writeHead(status, { 'Content-Type': type }).end(text),
      () => response.writeHead(500).end(),
    );
    return undefined;
  });
  await listen(server, config, 'METRICS_PORT', config.metricsPort);
  return server;
}

interface Page {
  status: number;
  type: string;
  text: string;
}

const json = (status: number, body: object): Page => ({ status, type: 'application/json', text: JSON.stringify(body) });
