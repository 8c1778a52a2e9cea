import { setTimeout as sleep } from 'node:timers/promises';
import { type App, dataOf, failureOf, fieldsOf, NOTHING, startApp, type UserClient } from './app.js';
import { answering, ExampleReceiver, freePort, isSigned, Receiver } from './receiver.js';
import { stopwatch } from './stopwatch.js';

jest.setTimeout(120_000);

describe('webhooks', () => {
  let app: App;
  let admin: UserClient;
  const receivers: Receiver[] = [];
  beforeAll(async () => {
    app = await startApp({ WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '0,1,1' });
    admin = await app.admin();
  });
  afterEach(async () => {
    // What a test leaves behind is nothing to the next.
    await app.sql('DELETE FROM webhooks');
    await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()));
  });
  afterAll(() => app?.stop());

  const receive = async (): Promise<Receiver> => {
    const receiver = await Receiver.start();
    receivers.push(receiver);
    return receiver;
  };
  const register = async (url: string, eventTypes = ['product.created'], more: object = {}) =>
    dataOf(await admin.post('/webhooks', { url, eventTypes, ...more }), 201);
  const deliveriesOf = async (id: string): Promise<any[]> => dataOf(await admin.get(`/webhooks/${id}/deliveries`));
  const until = async <T>(ask: () => Promise<T>, isSuch: (answer: T) => boolean): Promise<T> => {
    for (const deadline = Date.now() + 15_000; ; await sleep(50)) {
      const answer = await ask();
      if (isSuch(answer)) return answer;
      if (Date.now() > deadline) throw new Error(`It stays ${JSON.stringify(answer)}`);
    }
  };
  const ended = async (id: string): Promise<any> =>
    (
      await until(
        () => deliveriesOf(id),
        ([delivery]) => delivery !== undefined && delivery.state !== 'pending',
      )
    )[0];

  describe('as resources', () => {
    it('are made, read, changed and deleted, and show their secret once', async () => {
      const answer = await admin.post('/webhooks', {
        url: 'http://127.0.0.1:9999/hooks?shop=1',
        eventTypes: ['order.created', 'order.paid'],
        description: 'The warehouse',
      });
      const { secret, ...made } = dataOf(answer, 201);
      expect(answer.headers.get('location')).toBe(`/api/v1/webhooks/${made.id}`);
      expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(made).toEqual({
        id: expect.any(String),
        url: 'http://127.0.0.1:9999/hooks?shop=1',
        eventTypes: ['order.created', 'order.paid'],
        description: 'The warehouse',
        enabled: true,
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
        version: 1,
      });
      expect(dataOf(await admin.get(`/webhooks/${made.id}`))).toEqual(made);
      expect(dataOf(await admin.get('/webhooks'))).toEqual([made]);

      const patched = dataOf(await admin.patch(`/webhooks/${made.id}`, { enabled: false, eventTypes: ['*'] }));
      expect(patched).toMatchObject({ enabled: false, eventTypes: ['*'], description: 'The warehouse', version: 2 });
      const put = { url: 'https://127.0.0.1/', eventTypes: ['user.created'] };
      expect(dataOf(await admin.put(`/webhooks/${made.id}`, put))).toMatchObject({
        ...put,
        description: '',
        enabled: true,
        version: 3,
      });
      expect(failureOf(await admin.put(`/webhooks/${made.id}`, { url: put.url }))).toBe('422 VALIDATION_ERROR');
      expect((await admin.delete(`/webhooks/${made.id}`)).status).toBe(204);
      expect((await admin.get(`/webhooks/${made.id}`)).status).toBe(404);
      expect((await admin.delete(`/webhooks/${made.id}`)).status).toBe(404);

      const [row] = await app.sql(`SELECT count(*)::int AS count FROM webhooks WHERE secret LIKE '%whsec%'`);
      expect(row).toEqual({ count: 0 });
      expect(app.output()).not.toContain(secret);
    });

    it('bear a version, and are changed by one of two who saw the same', async () => {
      const made = await admin.post('/webhooks', { url: 'http://127.0.0.1:9999/', eventTypes: ['*'] });
      const { id } = dataOf(made, 201);
      expect(made.headers.get('etag')).toBe('"1"');
      expect((await admin.get(`/webhooks/${id}`, { 'if-none-match': '"1"' })).status).toBe(304);
      const answers = await Promise.all(
        ['one', 'two'].map((description) => admin.patch(`/webhooks/${id}`, { description }, { 'if-match': '"1"' })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
      const put = { url: 'http://127.0.0.1:9999/', eventTypes: ['*'] };
      expect((await admin.put(`/webhooks/${id}`, put, { 'if-match': '"1"' })).status).toBe(412);
      expect((await admin.delete(`/webhooks/${id}`, { 'if-match': '"1"' })).status).toBe(412);
      expect((await admin.delete(`/webhooks/${id}`, { 'if-match': '"2"' })).status).toBe(204);
    });

    it('show no secret when an answer is given again', async () => {
      const create = () =>
        admin.post('/webhooks', { url: 'http://127.0.0.1:9999/', eventTypes: ['*'] }, { 'idempotency-key': 'once' });
      const [first, second] = [dataOf(await create(), 201), dataOf(await create(), 201)];
      expect(second).toEqual({ ...first, secret: null });
      const rotate = () => admin.post(`/webhooks/${first.id}/secret-rotations`, undefined, { 'idempotency-key': 'r' });
      expect([dataOf(await rotate(), 201).secret, dataOf(await rotate(), 201).secret]).toEqual([
        expect.stringMatching(/^whsec_/),
        null,
      ]);
      expect(dataOf(await admin.get(`/webhooks/${first.id}`)).version).toBe(2);
      const [row] = await app.sql(`SELECT count(*)::int AS count FROM idempotency_keys WHERE body LIKE '%whsec%'`);
      expect(row).toEqual({ count: 0 });
    });

    it('are for admins', async () => {
      const [moderator, user] = [await app.moderator(), await app.register()];
      for (const client of [moderator, user]) {
        expect((await client.get('/webhooks')).status).toBe(403);
        expect((await client.post('/webhooks', { url: 'x', eventTypes: ['*'] })).status).toBe(403);
        expect((await client.get(`/webhooks/${NOTHING}/deliveries`)).status).toBe(403);
        expect((await client.post(`/webhooks/${NOTHING}/tests`)).status).toBe(403);
      }
      expect((await app.anonymous.get('/webhooks')).status).toBe(401);
      expect((await admin.get(`/webhooks/${NOTHING}`)).status).toBe(404);
      expect((await admin.get(`/webhooks/${NOTHING}/deliveries`)).status).toBe(404);
      expect((await admin.get('/webhooks/seven')).status).toBe(422);
    });

    it.each([
      ['url', { url: 'ftp://127.0.0.1/' }],
      ['url', { url: 'http:8.8.8.8' }],
      ['url', { url: 'http://user@127.0.0.1/' }],
      ['url', { url: 'http://127.0.0.1:22/' }],
      ['url', { url: `http://127.0.0.1/${'x'.repeat(2000)}` }],
      ['url', { url: '' }],
      ['eventTypes', { eventTypes: [] }],
      ['eventTypes', { eventTypes: ['order.eaten'] }],
      ['eventTypes', { eventTypes: ['order.paid', 'order.paid'] }],
      ['eventTypes', { eventTypes: '*' }],
      ['eventTypes', { eventTypes: [['*']] }],
      ['description', { description: 'x'.repeat(5001) }],
      ['enabled', { enabled: 'yes' }],
      ['secret', { secret: 'whsec_AAAA' }],
      ['version', { version: 7 }],
    ])('refuse a wrong %s', async (field, wrong) => {
      const answer = await admin.post('/webhooks', { url: 'http://127.0.0.1:9999/', eventTypes: ['*'], ...wrong });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual([field]);
    });
  });

  describe('tell of what happens', () => {
    it('to the example receiver, which verifies it by the published package', async () => {
      const port = await freePort();
      const { id, secret } = await register(`http://127.0.0.1:${port}/`, ['order.created', 'order.paid']);
      const receiver = await ExampleReceiver.start(port, secret);
      try {
        const buyer = await app.register();
        const { id: productId } = await app.product({ price: 500 });
        const order = dataOf(await buyer.post('/orders', { items: [{ productId, quantity: 2 }] }), 201);
        const accountId = await app.funded(buyer, 1000);
        dataOf(await buyer.post(`/orders/${order.id}/payments`, { accountId }), 201);

        await until(
          () => deliveriesOf(id),
          (all) => all.length === 2 && all.every(({ state }) => state === 'delivered'),
        );
        const lines = receiver.lines.sort((a, b) => a.data.version - b.data.version);
        expect(lines.map(({ type }) => type)).toEqual(['order.created', 'order.paid']);
        expect(lines[0]!.data).toEqual(order);
        expect(lines[1]!.data).toEqual(dataOf(await buyer.get(`/orders/${order.id}`)));
        const events = dataOf(await admin.get('/events?type=order.created&sortOrder=desc&limit=1'));
        expect(lines[0]).toMatchObject({ id: events[0].id, timestamp: events[0].createdAt });
      } finally {
        await receiver.stop();
      }
    });

    it('with the headers and the body of the specification, and only what was asked for', async () => {
      const [some, all] = [await receive(), await receive()];
      const { secret } = await register(some.url, ['product.created']);
      await register(all.url, ['*']);
      const product = await app.product();
      dataOf(await admin.patch(`/products/${product.id}`, { name: 'Other' }));
      await all.got(2);
      const [received] = await some.got(1);
      expect(received!.body).toEqual({ type: 'product.created', timestamp: expect.any(String), data: product });
      expect(received!.headers).toMatchObject({
        'content-type': 'application/json',
        'user-agent': expect.stringMatching(/^Stoa-Webhooks\//),
        'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
      });
      expect(Math.abs(Number(received!.headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(60);
      expect(isSigned(received!, secret)).toBe(true);
      expect(isSigned({ ...received!, text: `${received!.text} ` }, secret)).toBe(false);
      expect(all.received.map(({ body }) => body.type).sort()).toEqual(['product.created', 'product.updated']);
      expect(some.received).toHaveLength(1);
    });

    it('only from their making on, while they are enabled, and never of what was rolled back', async () => {
      await app.product();
      const receiver = await receive();
      const { id } = await register(receiver.url, ['*']);
      const buyer = await app.register();
      await receiver.got(1); // the user
      const { id: productId } = await app.product({ stock: 1 });
      await receiver.got(2);
      expect((await buyer.post('/orders', { items: [{ productId, quantity: 2 }] })).status).toBe(409);
      dataOf(await admin.patch(`/webhooks/${id}`, { enabled: false }));
      await app.product();
      await sleep(1500);
      dataOf(await admin.patch(`/webhooks/${id}`, { enabled: true }));
      const last = await app.product();
      await receiver.got(3);
      await sleep(700);
      expect(receiver.received.map(({ body }) => body.type)).toEqual([
        'user.created',
        'product.created',
        'product.created',
      ]);
      expect(receiver.received[2]!.body.data.id).toBe(last.id);
    });
  });

  describe('when the receiver fails', () => {
    it('try again, under the same id, until it succeeds', async () => {
      const receiver = await receive();
      receiver.behaviour = (...exchange) => answering(receiver.received.length < 3 ? 500 : 200)(...exchange);
      const { id, secret } = await register(receiver.url);
      await app.product();
      expect(await ended(id)).toMatchObject({ state: 'delivered', attempts: 3, lastStatus: 200, nextAttemptAt: null });
      const [first, second, third] = receiver.received as [any, any, any];
      expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
      expect(second.at - first.at).toBeGreaterThanOrEqual(950);
      expect(third.at - second.at).toBeGreaterThanOrEqual(950);
      expect(receiver.received.every((each) => isSigned(each, secret))).toBe(true);
    });

    it('give up after the last attempt, show the answer, and send again when told to', async () => {
      const receiver = await receive();
      receiver.behaviour = answering(500, {}, `Out of paper\0${'x'.repeat(5000)}`);
      const { id } = await register(receiver.url);
      await app.product();
      const dead = await ended(id);
      expect(dead).toEqual({
        id: expect.any(String),
        eventId: receiver.received[0]!.headers['webhook-id'],
        eventType: 'product.created',
        state: 'dead',
        attempts: 3,
        lastStatus: 500,
        lastError: 'Answered 500',
        nextAttemptAt: null,
        createdAt: expect.any(String),
      });
      const detail = dataOf(await admin.get(`/webhooks/${id}/deliveries/${dead.id}`));
      expect(detail.lastResponse).toMatch(/^Out of paperx+$/);
      expect(detail.lastResponse.length).toBeLessThanOrEqual(1024);

      receiver.behaviour = answering(200);
      const answer = await admin.post(`/webhooks/${id}/deliveries/${dead.id}/retries`);
      expect(dataOf(answer, 202)).toMatchObject({ id: dead.id, state: 'pending', attempts: 0 });
      expect(await ended(id)).toMatchObject({ id: dead.id, state: 'delivered', attempts: 1 });
      expect((await admin.post(`/webhooks/${id}/deliveries/${NOTHING}/retries`)).status).toBe(404);
      expect(dataOf(await admin.get(`/webhooks/${id}/deliveries?state=dead`))).toEqual([]);
    });

    it('switch off an endpoint that is gone, and tell an admin', async () => {
      const receiver = await receive();
      receiver.behaviour = answering(410);
      const { id } = await register(receiver.url);
      await app.product();
      expect(await ended(id)).toMatchObject({ state: 'dead', attempts: 1, lastStatus: 410 });
      expect(dataOf(await admin.get(`/webhooks/${id}`))).toMatchObject({ enabled: false, version: 2 });
      expect(await app.logged(({ template }) => template === 'webhook-disabled')).not.toEqual([]);
      expect(failureOf(await admin.post(`/webhooks/${id}/tests`))).toBe('409 CONFLICT');
    });

    it('switch off an endpoint that has failed for five days', async () => {
      const receiver = await receive();
      receiver.behaviour = answering(500);
      const { id } = await register(receiver.url);
      await app.sql(`UPDATE webhooks SET failing_since = now() - interval '121 hours'`);
      await app.product();
      await until(
        async () => dataOf(await admin.get(`/webhooks/${id}`)),
        ({ enabled }) => !enabled,
      );
      // Not at its first failure: it may be the first for a long time.
      expect(await ended(id)).toMatchObject({ state: 'dead', attempts: 3, lastError: 'Answered 500' });
    });

    it('switch nothing off that leads elsewhere by now', async () => {
      const [former, receiver] = [await receive(), await receive()];
      let answer = (): void => undefined;
      former.behaviour = (...exchange) => {
        answer = () => answering(410)(...exchange);
      };
      const { id } = await register(former.url);
      await app.product();
      await until(async () => former.received.length, Boolean);
      dataOf(await admin.patch(`/webhooks/${id}`, { url: receiver.url }));
      answer();
      expect(await ended(id)).toMatchObject({ state: 'dead', lastStatus: 410 });
      expect(dataOf(await admin.get(`/webhooks/${id}`))).toMatchObject({ enabled: true, url: receiver.url });
    });

    it('reach an endpoint also where all data was put back from a dump, and transactions are counted anew', async () => {
      const receiver = await receive();
      const { id } = await register(receiver.url);
      await app.sql('UPDATE webhooks SET begins_after = begins_after + 1000000');
      await app.restart();
      await app.product();
      expect(await ended(id)).toMatchObject({ state: 'delivered' });
    });

    it('wait for as long as it asks for', async () => {
      const receiver = await receive();
      receiver.behaviour = (...exchange) =>
        answering(receiver.received.length === 1 ? 429 : 200, { 'retry-after': '3' })(...exchange);
      const { id } = await register(receiver.url);
      await app.product();
      expect(await ended(id)).toMatchObject({ state: 'delivered', attempts: 2 });
      expect(receiver.received[1]!.at - receiver.received[0]!.at).toBeGreaterThanOrEqual(2950);
    });

    it('follow no redirect', async () => {
      const [receiver, elsewhere] = [await receive(), await receive()];
      receiver.behaviour = answering(307, { location: elsewhere.url });
      const { id } = await register(receiver.url);
      await app.product();
      expect(await ended(id)).toMatchObject({ state: 'dead', attempts: 3, lastStatus: 307 });
      expect(elsewhere.connections).toBe(0);
    });

    it('do not wait for slow ones to serve the others', async () => {
      const SLOW = 40;
      const [slow, quick] = [await receive(), await receive()];
      slow.behaviour = () => undefined;
      const { id } = await register(slow.url);
      for (let n = 1; n < SLOW; n++) await register(`${slow.url}?${n}`);
      await register(quick.url);
      for (let n = 0; n < 20; n++) await app.product();
      const began = Date.now();
      const took = stopwatch();
      await quick.got(20);
      expect(took()).toBeLessThan(5000);
      expect(slow.received.length).toBeLessThanOrEqual(8 * SLOW);
      await sleep(Math.max(0, began + 13_000 - Date.now())); // until it is soon late
      const attempted = await until(
        async () => (await deliveriesOf(id)).filter(({ attempts }) => attempts > 0),
        ({ length }) => length > 0,
      );
      const [late] = attempted;
      expect(late).toMatchObject({ lastStatus: null, lastError: 'No answer within 15 s' });
    });
  });

  it('are tried out by a ping', async () => {
    const receiver = await receive();
    const { id, secret, ...webhook } = await register(receiver.url);
    const ping = dataOf(await admin.post(`/webhooks/${id}/tests`), 202);
    expect(ping).toMatchObject({ eventType: 'ping', state: 'pending', attempts: 0 });
    const [received] = await receiver.got(1);
    expect(isSigned(received!, secret)).toBe(true);
    expect(received!.headers['webhook-id']).toBe(ping.eventId);
    expect(received!.body).toEqual({ type: 'ping', timestamp: ping.createdAt, data: { id, ...webhook } });
    expect(await ended(id)).toMatchObject({ id: ping.id, state: 'delivered' });
  });

  it('sign with the old secret and the new one for a day', async () => {
    const receiver = await receive();
    const { id, secret: old } = await register(receiver.url);
    const rotated = await admin.post(`/webhooks/${id}/secret-rotations`);
    const { secret } = dataOf(rotated, 201);
    expect(rotated.headers.get('location')).toBe(`/api/v1/webhooks/${id}`);
    expect(secret).not.toBe(old);
    await admin.post(`/webhooks/${id}/tests`);
    await receiver.got(1);
    const day = `jsonb_set(previous_secrets, '{0,until}', to_jsonb(now() - interval '1 second'))`;
    await app.sql(`UPDATE webhooks SET previous_secrets = ${day}`);
    await admin.post(`/webhooks/${id}/tests`);
    const [during, after] = (await receiver.got(2)) as [any, any];
    expect(during.headers['webhook-signature'].split(' ')).toHaveLength(2);
    expect([isSigned(during, old), isSigned(during, secret)]).toEqual([true, true]);
    expect([isSigned(after, old), isSigned(after, secret)]).toEqual([false, true]);
    expect(dataOf(await admin.get(`/webhooks/${id}`))).not.toHaveProperty('secret');
  });
});
