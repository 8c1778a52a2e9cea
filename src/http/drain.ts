import { once } from 'node:events';
import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.js';

/** A connection over which nothing has come for so long is closed without an answer that says so. */
const IDLE_MS = 1000;
/** As that, of all the time that there is to stop. */
const IDLE_SHARE = 1 / 4;

/**
 * Ends the connections of a server without losing a request. Node's own `close` cuts kept-alive connections just as the
 * next request may be on its way; here each is told with its next answer that it was the last.
 */
export class Drain {
  private readonly sockets = new Set<Socket>();
  private readonly idleMs: number;
  private isOn = false;

  constructor({ shutdownTimeout }: Pick<Config, 'shutdownTimeout'>) {
    this.idleMs = Math.min(IDLE_MS, shutdownTimeout * 1000 * IDLE_SHARE);
  }

  watch(fastify: FastifyInstance): void {
    fastify.addHook('onSend', (_request, reply, _payload, done) => {
      if (this.isOn) reply.header('Connection', 'close');
      done();
    });
    fastify.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** Resolves when the last connection has ended, however long its request takes. */
  async run(server: Server): Promise<void> {
    this.isOn = true;
    if (!server.listening) return;
    const ended = once(server, 'close');
    // That of the class below `http.Server` only stops listening.
    NetServer.prototype.close.call(server);
    const closing = setInterval(() => {
      this.closeIdle(server);
    }, this.idleMs);
    await ended.finally(() => {
      clearInterval(closing);
    });
  }

  private closeIdle(server: Server): void {
    server.closeIdleConnections();
    // Node does not count as idle what has connected and not said anything yet.
    for (const socket of this.sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}
