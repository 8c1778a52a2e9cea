import { setTimeout as sleep } from 'node:timers/promises';
import { type App, dataOf, startApp, type UserClient } from '../app.js';
import { ExampleReceiver, freePort } from '../receiver.js';
import { OwnPostgres } from './own-postgres.js';

const FULL = process.env.OUTAGES === 'full';
jest.setTimeout(FULL ? 3_600_000 : 600_000);

const ORDERS = FULL ? 10_000 : 150;
const KILLS = FULL ? 5 : 2;
const OUTAGE_MS = FULL ? 60_000 : 4000;
const AT_ONCE = 8;

describe('webhooks in an outage', () => {
  let postgres: OwnPostgres;
  let server: App;
  let senders: App[];
  let admin: UserClient;
  let receiver: ExampleReceiver;
  beforeAll(async () => {
    postgres = await OwnPostgres.start();
    const settings = {
      DATABASE_URL: postgres.url,
      WEBHOOK_ALLOW_PRIVATE: 'true',
      WEBHOOK_RETRY_SCHEDULE: Array(50).fill('2').join(','),
    };
    // One takes the orders and stays; two send what becomes of them, and do not.
    server = await startApp({ ...settings, JOBS: 'off' });
    senders = await Promise.all([startApp(settings), startApp(settings)]);
    admin = await server.admin();
  });
  afterAll(async () => {
    await receiver?.stop();
    await Promise.all((senders ?? []).map((sender) => sender.stop()));
    await server?.stop();
    await postgres?.remove();
  });

  it(`tell of each of ${ORDERS} orders, and of no other, whoever dies meanwhile`, async () => {
    const port = await freePort();
    const registered = { url: `http://127.0.0.1:${port}/`, eventTypes: ['order.created'] };
    const { id, secret } = dataOf(await admin.post('/webhooks', registered), 201);
    receiver = await ExampleReceiver.start(port, secret);
    const buyer = await server.register();
    const { id: productId } = await server.product({ stock: ORDERS + 100 });
    const { id: scarce } = await server.product({ stock: 1 });
    const heard = new Set<string>();
    const hear = () => receiver.lines.forEach(({ data }) => heard.add(data.id));

    const placed = new Set<string>();
    let refused = 0;
    const shopping = Promise.all(
      Array.from({ length: AT_ONCE }, async (_, shopper) => {
        for (let n = shopper; n < ORDERS; n += AT_ONCE) {
          const order = { items: [{ productId, quantity: 1 }] };
          let answer = await buyer.post('/orders', order);
          for (; answer.status === 503; answer = await buyer.post('/orders', order)) await sleep(100);
          placed.add(dataOf(answer, 201).id);
          // All of this one is rolled back.
          if (n % 10 === 0) {
            const tooMany = [
              { productId, quantity: 1 },
              { productId: scarce, quantity: 2 },
            ];
            if ((await buyer.post('/orders', { items: tooMany })).status !== 201) refused++;
          }
        }
      }),
    );

    const troubles = async () => {
      for (let kill = 0; kill < KILLS; kill++) {
        await sleep(1500);
        const sender = senders[kill % 2]!;
        await sender.kill();
        await sender.start();
        if (kill === 0) {
          await receiver.stop();
          // Not before: what it takes in its last moment it has answered, and nobody will send it again.
          hear();
          await sleep(OUTAGE_MS);
          receiver = await ExampleReceiver.start(port, secret);
        }
        if (kill === 1) {
          await postgres.stopImmediately();
          await sleep(1000);
          await postgres.startAgain();
        }
      }
    };
    await Promise.all([shopping, troubles()]);
    expect([placed.size, refused]).toEqual([ORDERS, Math.ceil(ORDERS / 10)]);
    // One whose answer got lost in the trouble was placed all the same, and is told of.
    const orders = new Set((await server.sql('SELECT id FROM orders')).map((row) => row.id as string));
    expect([...placed].filter((each) => !orders.has(each))).toEqual([]);

    for (
      const deadline = Date.now() + (FULL ? 1_200_000 : 300_000);
      heard.size < orders.size && Date.now() < deadline;
      await sleep(200)
    ) {
      hear();
    }
    expect(heard).toEqual(orders);
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(200)) {
      const [left] = await server.sql(
        `SELECT count(*)::int AS left FROM webhook_deliveries WHERE state <> 'delivered'`,
      );
      if (left!.left === 0) break;
    }
    const states = await server.sql(
      `SELECT state, count(*)::int AS count FROM webhook_deliveries WHERE webhook_id = $1 GROUP BY state`,
      [id],
    );
    expect(states).toEqual([{ state: 'delivered', count: orders.size }]);
  });
});
