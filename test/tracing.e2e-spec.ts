import { createServer, type Server as HttpServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type App, NOTHING, startApp } from './app.js';
import { Gate } from './gate.js';
import { freePort, Receiver } from './receiver.js';

jest.setTimeout(120_000);

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: Record<string, unknown>;
  failed: boolean;
}

/** Spans are sent every so many milliseconds: sooner than they would be, so that nobody waits for them here. */
const SOON = { OTEL_BSP_SCHEDULE_DELAY: '500' };
/** OTLP numbers them. */
const [SERVER, CLIENT, CONSUMER] = [2, 3, 5];
const CALLER = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' };

/** Takes what OTLP over HTTP brings, as JSON. */
class Collector {
  readonly spans: Span[] = [];
  readonly services = new Set<unknown>();

  private constructor(private readonly server: HttpServer) {}

  static async start(): Promise<Collector> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const collector = new Collector(server);
    server.on('request', (request, response) => {
      void request.toArray().then((chunks: Buffer[]) => {
        if (request.url === '/v1/traces') collector.take(JSON.parse(Buffer.concat(chunks).toString()));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** As soon as it has come. */
  async got(isSuch: (span: Span) => boolean): Promise<Span> {
    for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
      const span = this.spans.find(isSuch);
      if (span !== undefined) return span;
      if (Date.now() > deadline) throw new Error(`Only got ${this.spans.map(({ name }) => name).join(', ')}`);
    }
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private take(body: any): void {
    for (const { resource, scopeSpans } of body.resourceSpans) {
      this.services.add(attributesOf(resource)['service.name']);
      for (const { spans } of scopeSpans) {
        for (const span of spans) {
          this.spans.push({ ...span, attributes: attributesOf(span), failed: span.status?.code === 2 });
        }
      }
    }
  }
}

const attributesOf = ({ attributes }: any): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }: any) => [key, Object.values(value)[0]]));

describe('traces', () => {
  let collector: Collector;
  let app: App;
  beforeAll(async () => {
    collector = await Collector.start();
    app = await startApp({ ...SOON, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, WEBHOOK_ALLOW_PRIVATE: 'true' });
  });
  afterAll(async () => {
    await app?.stop();
    await collector?.stop();
  });

  const childrenOf = ({ spanId }: Span) => collector.spans.filter(({ parentSpanId }) => parentSpanId === spanId);

  it('show a request by the name of its route, and what it asked the database below it', async () => {
    const ann = await app.register();
    await ann.get(`/orders/${NOTHING}`);
    const span = await collector.got(({ name }) => name === 'GET /api/v1/orders/:id');
    expect(span.kind).toBe(SERVER);
    expect(span.attributes).toEqual({
      'http.request.method': 'GET',
      'http.route': '/api/v1/orders/:id',
      'url.path': `/api/v1/orders/${NOTHING}`,
      'http.response.status_code': 404,
    });
    expect(span.parentSpanId ?? '').toBe('');

    const [query] = childrenOf(span);
    expect(query).toMatchObject({ name: 'SELECT', kind: CLIENT, traceId: span.traceId, failed: false });
    expect(query!.attributes).toMatchObject({ 'db.system.name': 'postgresql', 'db.operation.name': 'SELECT' });
    expect(query!.attributes['db.query.text']).toMatch(/\bFROM\b.*\borders\b/s);
    expect(collector.services).toEqual(new Set(['stoa']));
  });

  it('have a transaction in one, also behind a body', async () => {
    await app.register('Tina Trace');
    const span = await collector.got(({ name }) => name === 'POST /api/v1/auth/register');
    const names = childrenOf(span).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['START', 'INSERT', 'COMMIT']));
    // The text of a query has placeholders, and what stands in their places is nowhere.
    expect(JSON.stringify(collector.spans)).not.toMatch(/tina\.trace|Tina Trace|argon2id\$/);
  });

  it('go on the trace of the caller, and lead from a log line to it', async () => {
    await app.anonymous.get('/products', { traceparent: `00-${CALLER.trace}-${CALLER.span}-01` });
    const span = await collector.got(({ traceId, kind }) => traceId === CALLER.trace && kind === SERVER);
    expect(span).toMatchObject({ name: 'GET /api/v1/products', parentSpanId: CALLER.span });
    const [line] = await app.logged(({ msg, trace_id }) => msg === 'Request' && trace_id === CALLER.trace);
    expect(line).toMatchObject({ route: '/api/v1/products', span_id: span.spanId });
  });

  it('are left out where the caller has decided so', async () => {
    const traceId = '1af7651916cd43dd8448eb211c80319c';
    await app.anonymous.get('/products', { traceparent: `00-${traceId}-${CALLER.span}-00` });
    await app.anonymous.get('/products/first-after');
    await collector.got(({ attributes }) => attributes['url.path'] === '/api/v1/products/first-after');
    expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
  });

  it('show jobs and the deliveries of webhooks', async () => {
    const receiver = await Receiver.start();
    try {
      const admin = await app.admin();
      await admin.post('/webhooks', { url: receiver.url, eventTypes: ['product.created'] });
      await app.product();
      const delivery = await collector.got(({ name }) => name === 'webhook delivery');
      expect(delivery.attributes).toMatchObject({
        'stoa.event.type': 'product.created',
        'http.response.status_code': 204,
      });
      await app.register();
      const job = await collector.got(({ name }) => name === 'job mail.send');
      expect(job.kind).toBe(CONSUMER);
    } finally {
      await receiver.stop();
    }
  });

  it('that were not sent yet are sent when it stops', async () => {
    await app.restart({ OTEL_BSP_SCHEDULE_DELAY: '60000' });
    await app.anonymous.get('/products/last-of-all');
    expect(await app.end()).toBe(0);
    const paths = collector.spans.map(({ attributes }) => attributes['url.path']);
    expect(paths).toContain('/api/v1/products/last-of-all');
  });
});

describe('a collector', () => {
  const timeOfStop = async (app: App) => {
    const start = Date.now();
    app.signal('SIGTERM');
    expect(await app.ended()).toBe(0);
    return Date.now() - start;
  };
  const warnings = (app: App) => app.logs().filter(({ msg }) => msg === 'Traces can not be sent').length;

  it('that is away is told of once, and costs no request', async () => {
    const app = await startApp({ ...SOON, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` });
    for (let i = 0; i < 50; i++) expect((await app.anonymous.get('/products')).status).toBe(200);
    for (const deadline = Date.now() + 20_000; warnings(app) === 0 && Date.now() < deadline;) await sleep(100);
    await app.anonymous.get('/products');
    await sleep(1500);
    expect(warnings(app)).toBe(1);
    expect(await app.end()).toBe(0);
  });

  it('that is frozen costs neither', async () => {
    const collector = await Collector.start();
    const gate = await Gate.to(collector.url);
    gate.silence();
    const app = await startApp({ ...SOON, OTEL_EXPORTER_OTLP_ENDPOINT: gate.through(collector.url) });
    try {
      for (let i = 0; i < 50; i++) expect((await app.anonymous.get('/products')).status).toBe(200);
      await sleep(1500);
      expect((await app.anonymous.get('/products')).status).toBe(200);
      const stopped = await timeOfStop(app);

      await app.start({ OTEL_EXPORTER_OTLP_ENDPOINT: '' });
      await app.anonymous.get('/products');
      // A last try to send would take five seconds. What a stop takes without it tells how fast the machine is just now.
      expect(stopped).toBeLessThan(2 * (await timeOfStop(app)) + 2500);
    } finally {
      await app.stop();
      await gate.close();
      await collector.stop();
    }
  });

  it('is not asked for anything where none is named', async () => {
    const app = await startApp();
    try {
      await app.anonymous.get('/products', { traceparent: `00-${CALLER.trace}-${CALLER.span}-01` });
      const [line] = await app.logged(({ msg }) => msg === 'Request');
      expect(line).toBeDefined();
      expect(line).not.toHaveProperty('trace_id');
    } finally {
      await app.stop();
    }
  });
});
