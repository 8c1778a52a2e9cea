import {
  type Attributes,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace-node';
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Logger } from 'pino';
import type { Config } from '../config.js';

export { type Span, SpanKind };

/** What an exporter may take for one try. Meanwhile new spans are kept, 2,048 at most, and further ones dropped. */
const PATIENCE_MS = 5000;
/** Of the time to stop, what the last spans get. */
const PATIENCE_AT_STOP_MS = 1500;

/** Unset while nobody wants traces: then nothing below costs more than to look here. */
let tracer: Tracer | undefined;

/**
 * Sends traces to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names, if it names one. We begin our spans ourselves,
 * at the places that everything passes: hooks that rewrite packages as they are loaded would have to be there before
 * the first import, and would not know our routes.
 *
 * @returns sends what is left, for as long as that does not take too long
 */
export async function startTracing({ otlpEndpoint }: Config, logger: Logger): Promise<() => Promise<void>> {
  if (otlpEndpoint === undefined) return () => Promise.resolve();
  const [{ BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({
    url: `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: PATIENCE_MS,
  });
  const provider = new NodeTracerProvider({
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come after, and so before, our own name.
    resource: resources
      .resourceFromAttributes({ 'service.name': 'stoa' })
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [new BatchSpanProcessor(telling(exporter, logger), { exportTimeoutMillis: PATIENCE_MS })],
  });
  provider.register();
  tracer = provider.getTracer('stoa');
  return async () => {
    const sent = provider.shutdown().catch(() => undefined);
    await Promise.race([sent, sleep(PATIENCE_AT_STOP_MS, undefined, { ref: false })]);
  };
}

/** The ids of the running span, by the names under which logs and traces are brought together. */
export function traceIds(span = tracer && trace.getActiveSpan()): { trace_id: string; span_id: string } | undefined {
  if (span === undefined) return undefined;
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}

/** Begins the span of a request, below the caller's where it names one (`traceparent`). */
export function beginRequest(method: string, headers: IncomingHttpHeaders): Span | undefined {
  if (tracer === undefined) return undefined;
  const caller = propagation.extract(ROOT_CONTEXT, headers);
  return tracer.startSpan(method, { kind: SpanKind.SERVER, attributes: { 'http.request.method': method } }, caller);
}

/** Runs `work` so that what it begins lies below this span. */
export function within<T>(span: Span | undefined, work: () => T): T {
  return span === undefined ? work() : context.with(trace.setSpan(context.active(), span), work);
}

/** The same function, which goes on in the trace that there is now, whoever calls it; without tracing it costs nothing. */
export const inThisTrace = <F>(work: F): F => (tracer === undefined ? work : context.bind(context.active(), work));

export function endRequest(
  span: Span,
  { method, route, path, status }: { method: string; route: string; path: string; status: number },
): void {
  span.updateName(`${method} ${route}`);
  span.setAttributes({ 'http.route': route, 'url.path': path, 'http.response.status_code': status });
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** Runs `work` in a span of its own. What it throws is the span's end, too. */
export async function inSpan<T>(
  name: string,
  kind: SpanKind,
  attributes: Attributes,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (tracer === undefined) return work(undefined);
  const span = tracer.startSpan(name, { kind, attributes });
  try {
    return await within(span, () => work(span));
  } catch (error) {
    fail(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** What all the ways to ask a client have in common. */
interface Queries {
  query(...parameters: unknown[]): unknown;
}

/**
 * Gives each query of this client that is part of a trace a span. What asks by itself, over and over, is part of none.
 * The text is kept, which has placeholders, and no value is.
 */
export function traceQueries(client: Client): void {
  if (tracer === undefined) return;
  const queries = client as unknown as Queries;
  const query = queries.query.bind(client);
  queries.query = (...parameters) => {
    if (tracer === undefined || trace.getActiveSpan() === undefined) return query(...parameters);
    const [first] = parameters;
    const text = typeof first === 'string' ? first : ((first as { text?: string }).text ?? '');
    const operation = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? 'QUERY';
    const span = tracer.startSpan(operation, {
      kind: SpanKind.CLIENT,
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': operation,
        'db.query.text': text,
        ...(client.database !== undefined && { 'db.namespace': client.database }),
      },
    });
    const end = (error: unknown): void => {
      if (error != null) fail(span, error);
      span.end();
    };
    const callback = parameters.at(-1);
    if (typeof callback === 'function') {
      const tell = context.bind(context.active(), callback as (...answer: unknown[]) => unknown);
      return query(...parameters.slice(0, -1), (error: unknown, ...answer: unknown[]) => {
        end(error);
        tell(error, ...answer);
      });
    }
    const asked = query(...parameters);
    if (asked instanceof Promise) asked.then(() => end(undefined), end);
    else end(undefined); // a stream of rows, whose end nobody here is told of
    return asked;
  };
}

/** Of a failure only its kind: a message may quote what nobody but the database should hold. */
function fail(span: Span, error: unknown): void {
  const { code, name } = error as { code?: unknown; name?: unknown };
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute('error.type', typeof code === 'string' ? code : typeof name === 'string' ? name : 'Error');
}

/** Says once that the collector is away, and once that it is back. */
function telling(exporter: SpanExporter, logger: Logger): SpanExporter {
  let isAway = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.error !== undefined;
        if (failed && !isAway) logger.warn({ reason: result.error?.message }, 'Traces can not be sent');
        if (!failed && isAway) logger.info('Traces are sent again');
        isAway = failed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
