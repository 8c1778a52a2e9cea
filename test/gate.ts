import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Link {
  ends: [client: Socket, target: Socket];
  /** What the client sent first. */
  greeting: string;
}

/** Stands between the server and something it needs: can let that vanish, lead elsewhere, and hear what it is sent. */
export class Gate {
  private readonly links = new Set<Link>();
  private isSilent = false;
  private isShut = false;
  /** How many milliseconds everything takes, each way: as if the target were that far away. */
  latency = 0;

  private constructor(
    private readonly server: Server,
    /** Where connections lead that are made from now on. */
    public target: string,
    private readonly listenerOf?: () => (sent: Buffer) => void,
  ) {
    server.on('connection', (client) => {
      this.accept(client);
    });
  }

  /** `listenerOf` makes, for each connection, who hears what its client sends, before it passes. */
  static async to(target: string, listenerOf?: () => (sent: Buffer) => void): Promise<Gate> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Gate(server, target, listenerOf);
  }

  /** The target's URL, through the gate: at the same address wherever it leads. */
  get url(): string {
    return this.through(this.target);
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
    return this.links.size;
  }

  /**
   * From now on nothing passes, and nobody is told: as behind a network that drops every packet. With a name: only on
   * connections that are open now, and whose client gave that name when it began.
   */
  silence(name?: string): void {
    if (name === undefined) this.isSilent = true;
    for (const { ends, greeting } of this.links) {
      if (greeting.includes(name ?? '')) for (const socket of ends) socket.pause();
    }
  }

  /** Breaks every connection, and refuses new ones. */
  shut(): void {
    this.isShut = true;
    this.cut();
  }

  /** Breaks every connection; new ones are welcome. */
  cut(): void {
    for (const { ends } of this.links) for (const socket of ends) socket.resetAndDestroy();
  }

  /** Whatever was held back passes. */
  open(): void {
    this.isSilent = this.isShut = false;
    for (const { ends } of this.links) for (const socket of ends) socket.resume();
  }

  async close(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, 'close');
  }

  private accept(client: Socket): void {
    if (this.isShut) {
      client.resetAndDestroy();
      return;
    }
    const { hostname, port } = new URL(this.target);
    // Only a database's URL may leave the port out.
    const target = connect(Number(port || 5432), hostname);
    const link: Link = { ends: [client, target], greeting: '' };
    this.links.add(link);
    client.once('data', (first) => (link.greeting = first.toString('latin1')));
    if (this.listenerOf) client.on('data', this.listenerOf());
    for (const [from, to] of [link.ends, [target, client] as const]) {
      from.setNoDelay(true);
      from.on('data', (bytes) => {
        this.later(() => to.write(bytes));
      });
      from.on('end', () => {
        this.later(() => to.end());
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.links.delete(link);
      });
      if (this.isSilent) from.pause();
    }
  }
  private later(pass: () => void): void {
    if (this.latency === 0) pass();
    else setTimeout(pass, this.latency);
  }
}
