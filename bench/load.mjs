// A load generator on bare sockets. Every request can be another one, may depend on an earlier answer, and at a given rate
// its time counts from when it was due. It costs about 15 µs of CPU time for each, on the machine that is measured.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createHistogram } from 'node:perf_hooks';

/** @returns {string} an HTTP/1.1 request as it goes over the wire; `body` is ASCII */
export function request(method, path, { token, headers = {}, body } = {}) {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: bench'];
  if (token !== undefined) lines.push(`Authorization: Bearer ${token}`);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${body.length}`);
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

/**
 * Sends requests over so many connections for so long, one after another on each, and waits for every answer.
 *
 * @param next gives the next request of a connection: a text, or `{ text, onAnswer(body) }`
 * @param rate requests per second, sent when they are due whether or not earlier ones have been answered; a request that
 *   finds no free connection waits, and its waiting counts. Without it each connection sends as soon as it has its answer
 * @param hello is sent over each connection first, and not counted: that a connection is open does not mean that the server
 *   has taken it
 * @param each is given every answer: its status and head, when it came, and how many milliseconds it took
 */
export async function load({ port, connections = 32, seconds, requests = Infinity, rate, hello, next, each }) {
  const latencies = createHistogram({ highest: 60_000_000 }); // in µs
  const statuses = {};
  const clients = await Promise.all(Array.from({ length: connections }, (_, index) => Client.open(port, index)));
  if (hello !== undefined) await Promise.all(clients.map((client) => client.ask(hello)));
  const began = performance.now();
  const end = began + (seconds ?? Infinity) * 1000;
  let sent = 0;
  const answered = (client, { status, head, body }, since) => {
    const at = performance.now();
    latencies.record(Math.max(1, Math.round((at - since) * 1000)));
    statuses[status] = (statuses[status] ?? 0) + 1;
    client.onAnswer?.(body, status);
    each?.({ status, head, at, took: at - since });
  };
  const send = async (client, since = performance.now()) => {
    sent++;
    const given = next(client.index);
    client.onAnswer = given.onAnswer;
    answered(client, await client.ask(given.text ?? given, given.onAnswer !== undefined), since);
  };
  if (rate === undefined) {
    await Promise.all(
      clients.map(async (client) => {
        while (sent < requests && performance.now() < end) await send(client);
      }),
    );
  } else {
    await paced({ clients, rate, began, end, send });
  }
  const ms = performance.now() - began;
  for (const client of clients) client.close();
  const total = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  const quantile = (percent) => latencies.percentile(percent) / 1000;
  return { total, rps: (total / ms) * 1000, p50: quantile(50), p99: quantile(99), statuses };
}

async function paced({ clients, rate, began, end, send }) {
  const free = [...clients];
  const due = [];
  const busy = new Set();
  let count = 0;
  const serve = () => {
    while (due.length > 0 && free.length > 0) {
      const client = free.pop();
      const task = send(client, due.shift()).finally(() => {
        busy.delete(task);
        free.push(client);
        serve();
      });
      busy.add(task);
    }
  };
  while (performance.now() < end) {
    for (const now = performance.now(); began + (count * 1000) / rate <= now; count++)
      due.push(began + (count * 1000) / rate);
    serve();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  due.length = 0;
  while (busy.size > 0) await Promise.all(busy);
}

/** One connection, which is kept alive. */
class Client {
  static async open(port, index) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Client(socket, index);
  }

  constructor(socket, index) {
    this.socket = socket;
    this.index = index;
    this.received = undefined;
    this.length = 0;
    socket.on('data', (chunk) => this.read(chunk));
    socket.on('error', (error) => this.reject?.(error));
    socket.on('close', () => this.reject?.(new Error('The server closed a connection')));
  }

  ask(text, wantsBody) {
    return new Promise((resolve, reject) => {
      Object.assign(this, { resolve, reject, wantsBody });
      this.socket.write(text);
    });
  }

  read(chunk) {
    this.received = this.received === undefined ? chunk : Buffer.concat([this.received, chunk]);
    if (this.length === 0) {
      const end = this.received.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.head = this.received.latin1Slice(0, end);
      this.body = end + 4;
      this.length = this.body + Number(/\r\ncontent-length: (\d+)/i.exec(this.head)?.[1] ?? 0);
    }
    if (this.received.length < this.length) return;
    const { resolve, head } = this;
    const body = this.wantsBody ? this.received.toString('utf8', this.body, this.length) : undefined;
    this.received = undefined;
    this.length = 0;
    this.reject = undefined;
    resolve({ status: Number(head.slice(9, 12)), head, body });
  }

  close() {
    this.reject = undefined;
    this.socket.destroy();
  }
}
