import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Link {
  client: Socket;
  server: Socket;
  /** What the client called itself when it connected. */
  name: string;
}

/** Stands between a server and its database, and can make connections silent without closing them. */
export class Proxy {
  private readonly links = new Set<Link>();
  private readonly silenced: ((link: Link) => boolean)[] = [];
  /** How often something was sent to the database, by the name of the connection. */
  readonly sent = new Map<string, number>();

  private constructor(
    private readonly target: URL,
    private readonly listener: Server,
  ) {
    listener.on('connection', (client) => {
      this.link(client);
    });
  }

  static async before(databaseUrl: string): Promise<Proxy> {
    const listener = createServer({ noDelay: true });
    const proxy = new Proxy(new URL(databaseUrl), listener);
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return proxy;
  }

  get url(): string {
    const url = new URL(this.target);
    url.hostname = '127.0.0.1';
    url.port = String((this.listener.address() as AddressInfo).port);
    return url.href;
  }

  /** Drops all that is sent on the connections of this name that are open now. */
  silence(name: string): void {
    const then = new Set(this.links);
    this.silenced.push((link) => then.has(link) && link.name === name);
  }

  async close(): Promise<void> {
    for (const { client, server } of this.links) {
      client.destroy();
      server.destroy();
    }
    this.listener.close();
    await once(this.listener, 'close');
  }

  private link(client: Socket): void {
    const server = connect({
      host: this.target.hostname,
      port: Number(this.target.port || 5432),
      noDelay: true,
    });
    const link: Link = { client, server, name: '' };
    this.links.add(link);
    client.on('data', (bytes) => {
      link.name ||= /application_name\0([^\0]+)/.exec(bytes.toString('latin1'))?.[1] ?? '';
      this.sent.set(link.name, (this.sent.get(link.name) ?? 0) + 1);
      if (!this.isSilent(link)) server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!this.isSilent(link)) client.write(bytes);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        other.destroy();
        this.links.delete(link);
      });
    }
  }

  private isSilent(link: Link): boolean {
    return this.silenced.some((matches) => matches(link));
  }
}
