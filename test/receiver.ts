import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { cleanEnvironment } from './environment.js';

const RECEIVER = resolve(__dirname, '../examples/receiver/receiver.mjs');

/** One request that a receiver got. */
export interface Received {
  at: number;
  url: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: any;
}

type Behaviour = (received: Received, response: ServerResponse) => void;

export const answering =
  (status: number, headers: Record<string, string> = {}, body = ''): Behaviour =>
  (_received, response) =>
    void response.writeHead(status, headers).end(body);

/** A receiver that answers as it is told, and keeps what it got. */
export class Receiver {
  readonly received: Received[] = [];
  /** How often somebody connected. */
  connections = 0;
  behaviour: Behaviour = answering(204);

  private constructor(private readonly server: Server) {
    server.on('connection', () => this.connections++);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.take(request, response));
  }

  static async start(): Promise<Receiver> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Receiver(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hooks`;
  }

  /** What it got, as soon as it is so many. */
  async got(count: number, withinMs = 15_000): Promise<Received[]> {
    for (const deadline = Date.now() + withinMs; this.received.length < count && Date.now() < deadline;)
      await sleep(20);
    if (this.received.length < count) throw new Error(`Got ${this.received.length} instead of ${count}`);
    return this.received;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = Buffer.concat(await request.toArray()).toString();
    const received = { at: Date.now(), url: request.url!, headers: request.headers, text, body: JSON.parse(text) };
    this.received.push(received);
    this.behaviour(received, response);
  }
}

/** Whether the published package takes what came for genuine. */
export function isSigned({ text, headers }: Received, secret: string): boolean {
  try {
    new Webhook(secret).verify(text, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}

/** The receiver of `examples/`, in a process of its own. */
export class ExampleReceiver {
  /** What it has verified, each id once while it lives. */
  readonly lines: { id: string; type: string; timestamp: string; data: any }[] = [];
  private rest = '';

  private constructor(
    private readonly process: ChildProcess,
    private readonly listening: Promise<void>,
  ) {}

  static async start(port: number, secret: string): Promise<ExampleReceiver> {
    const env = { ...cleanEnvironment(), PORT: String(port), WEBHOOK_SECRET: secret };
    const child = spawn(process.execPath, [RECEIVER], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let hear: () => void = () => undefined;
    const receiver = new ExampleReceiver(child, new Promise((wake) => (hear = wake)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (receiver.rest + text).split('\n');
      receiver.rest = lines.pop()!;
      for (const line of lines) {
        if (line === 'Listening') hear();
        else receiver.lines.push(JSON.parse(line));
      }
    });
    await receiver.listening;
    return receiver;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGKILL');
    await once(this.process, 'close');
  }
}

/** One that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
