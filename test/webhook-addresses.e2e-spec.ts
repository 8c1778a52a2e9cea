import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type App, dataOf, failureOf, fieldsOf, startApp, type UserClient } from './app.js';

jest.setTimeout(120_000);

/** Hosts that lead to this machine, or into networks that are nobody's business. */
const HOSTS = [
  ...['127.0.0.1', '127.1', '127.0.0.2', '127.255.255.254', '2130706433', '0x7f000001', '0x7f.1', '017700000001'],
  ...['0177.0.0.01', '１２７.0.0.1', '127。0。0。1', '127.0.0.1.', '%31%32%37.0.0.1', '0', '0.0.0.0', '0.1.2.3'],
  ...['[::1]', '[0:0:0:0:0:0:0:1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]'],
  ...['[::ffff:0:127.0.0.1]', '[64:ff9b::127.0.0.1]', '[64:ff9b:1::127.0.0.1]', '[2002:7f00:1::]'],
  ...['[2001:0:7f00:1::]', '[fc00::1]', '[fd00:ec2::254]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[2001:db8::1]'],
  ...['10.0.0.1', '172.16.0.1', '192.168.1.1', '3232235777', '100.64.0.1', '100.100.100.200', '169.254.169.254'],
  ...['0xa9fea9fe', '168.63.129.16', '192.0.0.192', '198.18.0.1', '203.0.113.1', '224.0.0.1', '240.0.0.1'],
  ...['255.255.255.255', 'localhost', 'LOCALHOST.', 'shop.localhost', 'nothing.invalid'],
];
const OWN = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .filter(({ internal, address }) => !internal && /^(10|192\.168|172\.(1[6-9]|2\d|3[01])|f[cde])/.test(address))
  .map(({ address, family }) => (family === 'IPv6' ? `[${address.replace(/%.*/, '')}]` : address));

describe('webhooks that would lead inside', () => {
  let app: App;
  let admin: UserClient;
  let server: Server;
  let urls: string[];
  let connections = 0;
  beforeAll(async () => {
    // Hears whoever comes, over any address of this machine.
    server = createServer((socket) => {
      connections++;
      socket.destroy();
    }).listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    urls = [...HOSTS, ...OWN].map((host) => `http://${host}:${port}/`);
    app = await startApp({ WEBHOOK_RETRY_SCHEDULE: '0' });
    admin = await app.admin();
  });
  afterAll(async () => {
    await app?.stop();
    server.close();
  });

  it('are refused when they are made or changed', async () => {
    for (const url of urls) {
      const answer = await admin.post('/webhooks', { url, eventTypes: ['*'] });
      expect([url, failureOf(answer), fieldsOf(answer)]).toEqual([url, '422 VALIDATION_ERROR', ['url']]);
    }
    const { id } = dataOf(await admin.post('/webhooks', { url: 'http://93.184.216.34:8080/', eventTypes: ['*'] }), 201);
    expect(fieldsOf(await admin.patch(`/webhooks/${id}`, { url: urls[0] }))).toEqual(['url']);
    expect(fieldsOf(await admin.put(`/webhooks/${id}`, { url: urls[0], eventTypes: ['*'] }))).toEqual(['url']);
    await admin.delete(`/webhooks/${id}`);
    expect(connections).toBe(0);
  });

  it('are not followed when they come to lead there later', async () => {
    for (const url of urls) {
      const made = { url: 'http://93.184.216.34:8080/', eventTypes: ['user.deleted'] };
      const { id } = dataOf(await admin.post('/webhooks', made), 201);
      await app.sql('UPDATE webhooks SET url = $1 WHERE id = $2', [url, id]);
      dataOf(await admin.post(`/webhooks/${id}/tests`), 202);
    }
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(100)) {
      const [left] = await app.sql(`SELECT count(*)::int AS count FROM webhook_deliveries WHERE state = 'pending'`);
      if (left!.count === 0) break;
    }
    const endings = await app.sql('SELECT DISTINCT state, last_error FROM webhook_deliveries ORDER BY last_error');
    expect(endings).toEqual([
      { state: 'dead', last_error: 'The URL must lead somewhere: its host has no address' },
      { state: 'dead', last_error: 'The URL must not lead into a private or reserved network' },
    ]);
    expect(connections).toBe(0);
  });
});
