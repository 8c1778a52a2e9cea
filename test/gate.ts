import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between the server and something it needs, and can let that vanish. */
export class Gate {
  private readonly pairs = new Set<[Socket, Socket]>();
  private isSilent = false;
  private isShut = false;

  private constructor(
    private readonly server: Server,
    private readonly target: { host: string; port: number },
  ) {
    server.on('connection', (inner) => {
      this.accept(inner);
    });
  }

  static async to(url: string): Promise<Gate> {
    const { hostname, port } = new URL(url);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Gate(server, { host: hostname, port: Number(port) });
  }

  /** The same URL, through the gate. */
  through(url: string): string {
    const whole = new URL(url);
    whole.hostname = '127.0.0.1';
    whole.port = String((this.server.address() as AddressInfo).port);
    return whole.href;
  }

  /** How many are open, or being opened. */
  get connections(): number {
    return this.pairs.size;
  }

  /** From now on nothing passes, and nobody is told: as behind a network that drops every packet. */
  silence(): void {
    this.isSilent = true;
    for (const pair of this.pairs) for (const socket of pair) socket.pause();
  }

  /** Breaks every connection, and refuses new ones. */
  shut(): void {
    this.isShut = true;
    this.cut();
  }

  /** Breaks every connection; new ones are welcome. */
  cut(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Whatever was held back passes. */
  open(): void {
    this.isSilent = this.isShut = false;
    for (const pair of this.pairs) for (const socket of pair) socket.resume();
  }

  async close(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, 'close');
  }

  private accept(inner: Socket): void {
    if (this.isShut) {
      inner.resetAndDestroy();
      return;
    }
    const outer = connect(this.target);
    const pair: [Socket, Socket] = [inner, outer];
    this.pairs.add(pair);
    for (const [from, to] of [pair, [outer, inner] as const]) {
      from.setNoDelay(true);
      from.on('data', (bytes) => to.write(bytes));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
      if (this.isSilent) from.pause();
    }
  }
}
