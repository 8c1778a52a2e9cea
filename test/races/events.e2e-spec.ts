import { setTimeout as sleep } from 'node:timers/promises';
import { dataOf, type UserClient } from '../app.js';
import { times, TwoServers } from './two-servers.js';

interface Event {
  resourceId: string;
  sequence: number;
  data: object;
}

describe('the events of one resource, when many change it at once', () => {
  let servers: TwoServers;
  let admin: UserClient;
  beforeAll(async () => {
    servers = await TwoServers.start();
    admin = await servers.one.admin();
  });
  afterAll(() => servers?.stop());

  it('are read in the order in which it was changed', async () => {
    let cursor = (await admin.get('/events?limit=100')).body.meta.pagination.nextCursor as string;
    const read = async (): Promise<Event[]> => {
      const answer = await admin.get(`/events?limit=100&cursor=${encodeURIComponent(cursor)}`);
      cursor = answer.body.meta.pagination.nextCursor as string;
      return dataOf(answer);
    };
    const WRITERS = 10;
    for (let round = 0; round < times(6, 60); round++) {
      const { id } = await servers.one.product({ stock: 100 });
      const writes = Array.from({ length: WRITERS }, (_, n) => {
        const client = servers.as(admin, n);
        return n % 2 === 0
          ? client.patch(`/products/${id}`, { price: 100 + n })
          : client.post(`/products/${id}/stock-adjustments`, { delta: n, reason: 'Counted' });
      });
      // Read all the while: nothing may appear behind a reader's back, and nothing twice.
      const seen: Event[] = [];
      let isOver = false;
      const reading = (async () => {
        for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(5)) {
          seen.push(...(await read()).filter(({ resourceId }) => resourceId === id));
          if (isOver && seen.length > WRITERS) return;
        }
      })();
      for (const answer of await Promise.all(writes)) expect(answer.status).toBeLessThan(300);
      isOver = true;
      await reading;
      expect(seen.map(({ sequence }) => sequence)).toEqual(Array.from({ length: WRITERS + 1 }, (_, n) => n + 1));
      const last = dataOf(await admin.get(`/products/${id}`));
      expect(seen.at(-1)?.data).toMatchObject({ price: last.price, stock: last.stock });
    }
  });
});
