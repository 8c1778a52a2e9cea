import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type App, dataOf, startApp } from '../app.js';
import { stopwatch } from '../stopwatch.js';
import { until } from '../until.js';

jest.setTimeout(240_000);

const FULL = process.env.OUTAGES === 'full';
const CLIENTS = 200;
/** What the server gives them, and the time that it takes to notice. */
const HEADERS_MS = 10_000 + 2_000;
const BODY_MS = 30_000 + 2_000;
/** For a machine that has other things to do. */
const MARGIN_MS = 10_000;

/** Sends a byte a second, until it is cut off. */
class SlowClient {
  private text = '';
  private readonly socket: Socket;
  readonly ended: Promise<{ text: string; after: number }>;

  constructor(url: string, head: string, byte: string) {
    const { hostname, port } = new URL(url);
    const start = Date.now();
    this.socket = connect(Number(port), hostname, () => this.socket.write(head));
    const sending = setInterval(() => this.socket.write(byte), 1000);
    this.socket.on('error', () => undefined);
    this.socket.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    this.ended = new Promise((resolve) => {
      this.socket.on('close', () => {
        clearInterval(sending);
        resolve({ text: this.text, after: Date.now() - start });
      });
    });
  }

  leave(): void {
    this.socket.destroy();
  }
}

describe(`${CLIENTS} clients that send a byte a second`, () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app?.stop());

  it('are cut off, be it in the headers or in the body, and hurt nobody meanwhile', async () => {
    const user = await app.register();
    const inHeaders = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: stoa\r\nX-Slow: ';
    const inBody =
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: stoa\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n';
    const clients = Array.from(
      { length: CLIENTS },
      (_, n) => new SlowClient(app.url, n % 2 ? inHeaders : inBody, n % 2 ? 'x' : ' '),
    );
    let isOn = true;
    let [asked, slowest] = [0, 0];
    const others = (async () => {
      for (; isOn; asked++) {
        const took = stopwatch();
        dataOf(await user.get('/orders'));
        slowest = Math.max(slowest, took());
        await sleep(50);
      }
    })();
    // Those in the body have half a minute, for which not every run has the time.
    const awaited = clients.filter((_, n) => FULL || n % 2);
    const ends = await Promise.all(awaited.map(({ ended }) => ended));
    isOn = false;
    await others;
    for (const [n, { text, after }] of ends.entries()) {
      expect(text).toMatch(/^HTTP\/1\.1 408 /);
      expect(after).toBeLessThan((!FULL || n % 2 ? HEADERS_MS : BODY_MS) + MARGIN_MS);
    }
    for (const client of clients) client.leave();
    expect(asked).toBeGreaterThan(50);
    expect(slowest).toBeLessThan(3000);
    expect((await app.anonymous.get('/health/ready')).status).toBe(200);
  });

  it('are followed by as many that take nothing of long answers: they hurt nobody, and are cut off', async () => {
    const user = await app.register();
    const { hostname, port } = new URL(app.url);
    // More than the buffers between us take in.
    const asked = 'GET /openapi.json HTTP/1.1\r\nHost: stoa\r\n\r\n'.repeat(40);
    const before = memoryOf(app);
    const openBefore = connectionsOf(app);
    const readers = Array.from({ length: 50 }, () => {
      const socket = connect(Number(port), hostname, () => socket.write(asked));
      return socket.on('error', () => undefined).pause();
    });
    await sleep(2000);
    for (let n = 0; n < 20; n++) {
      const took = stopwatch();
      dataOf(await user.get('/orders'));
      expect(took()).toBeLessThan(3000);
    }
    // Not each of what was asked for lies ready.
    expect(memoryOf(app) - before).toBeLessThan(300);
    if (FULL) {
      // Node gives a minute more to a connection that took something within the first.
      await until(() => connectionsOf(app) < openBefore + 10, 2 * 60_000 + MARGIN_MS);
    }
    for (const reader of readers) reader.destroy();
  });
});

/** In MiB. */
const memoryOf = ({ pid }: App): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;

/** How many files and connections its process has open. */
const connectionsOf = ({ pid }: App): number => readdirSync(`/proc/${pid}/fd`).length;
