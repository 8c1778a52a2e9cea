import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between the server and its database, and can be shut. */
export class Gate {
  private readonly sockets = new Set<Socket>();
  private isOpen = true;

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
  ) {}

  /** @param url of what is behind it */
  static async to(url: string): Promise<Gate> {
    const server = createServer();
    const gate = new Gate(server, new URL(url));
    server.on('connection', (socket) => {
      gate.pass(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return gate;
  }

  /** Where to connect to instead. */
  get url(): string {
    const url = new URL(this.target);
    url.hostname = '127.0.0.1';
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  /** Ends every connection, and takes no other. */
  shut(): void {
    this.isOpen = false;
    for (const socket of this.sockets) socket.destroy();
  }

  /** Lets nothing through any more, and tells nobody. */
  freeze(): void {
    for (const socket of this.sockets) socket.unpipe().pause();
    this.isOpen = false;
  }

  open(): void {
    for (const socket of this.sockets) socket.destroy();
    this.isOpen = true;
  }

  async close(): Promise<void> {
    this.shut();
    this.server.close();
    await once(this.server, 'close');
  }

  private pass(socket: Socket): void {
    if (!this.isOpen) {
      socket.destroy();
      return;
    }
    const behind = connect(Number(this.target.port) || 5432, this.target.hostname);
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      this.sockets.add(one);
      one.pipe(other);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
  }
}
