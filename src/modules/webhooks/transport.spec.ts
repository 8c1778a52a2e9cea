import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Address, Addresses } from './addresses.js';
import { Interrupted, Transport } from './transport.js';

describe('bringing a message', () => {
  let server: Server;
  let requests: IncomingMessage[];
  let answer: RequestListener;
  beforeEach(async () => {
    requests = [];
    answer = (_, response) => response.end('Thank you');
    server = createServer((request, response) => {
      requests.push(request);
      answer(request, response);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const go = new AbortController().signal;
  /** Where no name server is asked: the name is said to lead here. */
  const transportTo = (...addresses: Address[]) =>
    new Transport({ resolve: () => Promise.resolve(addresses) } as unknown as Addresses);
  const here: Address = { address: '127.0.0.1', family: 4 };
  const url = () => `http://shop.example:${(server.address() as AddressInfo).port}/hooks?shop=1`;

  it('connects to the address that was checked, under the name that was meant', async () => {
    const { status, excerpt } = await transportTo(here).post(url(), { 'x-mark': '1' }, '{"ä":1}', go);
    expect([status, excerpt]).toEqual([200, 'Thank you']);
    expect(requests[0]).toMatchObject({ method: 'POST', url: '/hooks?shop=1' });
    expect(requests[0]!.headers).toMatchObject({
      host: new URL(url()).host,
      'x-mark': '1',
      'content-length': '8',
      connection: 'close',
    });
  });

  it('reads no more of an answer than it needs, and keeps 1 KiB of it', async () => {
    let sent = 0;
    answer = (_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(4096, 'x'))) sent += 4096;
        response.once('drain', more);
      };
      more();
    };
    const { status, excerpt } = await transportTo(here).post(url(), {}, '{}', go);
    expect([status, excerpt]).toEqual([200, 'x'.repeat(1024)]);
    expect(sent).toBeLessThan(50_000_000);
  });

  it('takes an answer that breaks off for an answer', async () => {
    answer = (_, response) => {
      response.writeHead(202, { 'content-length': '100' });
      response.write('Thank', () => response.destroy());
    };
    expect(await transportTo(here).post(url(), {}, '{}', go)).toMatchObject({ status: 202, excerpt: 'Thank' });
  });

  it('says what went wrong', async () => {
    answer = (_, response) => response.destroy();
    await expect(transportTo(here).post(url(), {}, '{}', go)).rejects.toThrow(/socket hang up/);
    server.close();
    server.closeAllConnections();
    await expect(transportTo(here).post('http://shop.example:1024/', {}, '{}', go)).rejects.toThrow(/ECONNREFUSED/);
  });

  it('stops when told to', async () => {
    const stop = new AbortController();
    answer = () => {
      stop.abort();
    };
    await expect(transportTo(here).post(url(), {}, '{}', stop.signal)).rejects.toThrow(Interrupted);
    await expect(transportTo(here).post(url(), {}, '{}', stop.signal)).rejects.toThrow(Interrupted);
    expect(requests).toHaveLength(1);
  });
});
