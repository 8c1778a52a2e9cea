import { randomInt } from 'node:crypto';
import { Agent, request } from 'node:http';
import fc from 'fast-check';
import { type App, type Client, dataOf, NOTHING, PASSWORD, startApp, type UserClient } from './app.js';
import { Contract } from './openapi.js';

/**
 * Requests over the whole published document, from nearly right to hostile: whatever comes, there is no 5xx, no hang and
 * no answer that the document does not promise. `FUZZ=full` sends 20,000; `FUZZ_SEED` plays a run again.
 */
const BATCH = 10;
const REQUESTS = process.env.FUZZ === 'full' ? 20_000 : 600;
const SEED = process.env.FUZZ_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.FUZZ_SEED);
const HANG_MS = 20_000;

jest.setTimeout(60 * 60_000);

type Schema = Record<string, any>;
interface Operation {
  method: string;
  template: string;
  parameters: { name: string; in: string; schema: Schema }[];
  body: Schema | undefined;
}
interface Sent {
  method: string;
  path: string;
  as: string;
  headers: Record<string, string>;
  body: string | undefined;
}

const HOSTILE_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800',
  'x'.repeat(101),
  'x'.repeat(6000),
  '\u202e',
  '١٢٣',
  'ǅ',
  'İ',
  'ﬃ',
  '👩‍👩‍👧‍👦'.repeat(40),
  '__proto__',
  'constructor',
  'toString',
  "' OR 1=1 --",
  '%',
  '\\',
  '_%_%_%',
  '${7*7}',
  '<script>',
  '../../etc/passwd',
  'null',
  'undefined',
  'NaN',
  '1e5',
  '0x10',
  '-0',
  '9223372036854775808',
  '9007199254740992',
  '10000-01-01',
  '0000-00-00',
  '9999-12-31T23:59:59.999999999Z',
  '0001-01-01T00:00:00+23:59',
  '2026-02-30',
  '"',
  'W/"1"',
  '*',
  '\r\n',
  '(((((((((a+)+)+)+)+)+)+)+)+$',
  '& | ! <-> :* (',
  'a'.repeat(30) + '!',
];
const HOSTILE_VALUES: unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  1e308,
  [],
  {},
  [[]],
  [null],
  [{}],
  { $ne: null },
  { length: 3 },
  JSON.parse('{"__proto__":{"role":"admin"}}'),
  { toString: 1 },
  Array(200).fill(0),
];

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...HOSTILE_TEXTS) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
);
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.constantFrom(...HOSTILE_VALUES),
  fc.jsonValue({ maxDepth: 4 }),
);

/** Values of a schema of the document, nearly always good ones. */
class Values {
  constructor(
    private readonly schemas: Record<string, Schema>,
    private readonly ids: string[],
  ) {}

  of(schema: Schema): fc.Arbitrary<unknown> {
    if (schema.$ref !== undefined) return this.of(this.schemas[schema.$ref.split('/').at(-1)]!);
    if (schema.allOf !== undefined) return this.of(schema.allOf[0]);
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    switch ([schema.type].flat()[0]) {
      case 'integer':
      case 'number':
        return this.integer(schema);
      case 'boolean':
        return fc.boolean();
      case 'array':
        return fc.array(this.of(schema.items), { minLength: schema.minItems ?? 0, maxLength: 3 });
      case 'object':
        return this.object(schema);
      default:
        return this.text(schema);
    }
  }

  private integer(schema: Schema): fc.Arbitrary<number> {
    const [minimum, maximum] = [Number(schema.minimum ?? 0), Number(schema.maximum ?? 1000)];
    const small = fc.integer({ min: minimum, max: Math.max(minimum, Math.min(maximum, minimum + 20)) });
    return fc.oneof({ weight: 5, arbitrary: small }, fc.constantFrom(minimum, maximum));
  }

  private text({ format, pattern, example, minLength = 0, maxLength = 50 }: Schema): fc.Arbitrary<string> {
    if (format === 'uuid') return fc.constantFrom(...this.ids);
    if (format === 'date-time') return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
    if (format === 'password') return fc.constant(PASSWORD);
    if (pattern === '^[A-Z]{3}$') return fc.constantFrom('EUR', 'USD', 'JPY');
    const made = fc.string({ unit: 'grapheme', minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)) });
    if (String(example).includes('@')) {
      return fc.nat({ max: 500 }).map((number) => `fuzz.${number}@example.com`);
    }
    return example === undefined ? made : fc.oneof(fc.constant(String(example)), made);
  }

  private object({ properties = {}, required = [], additionalProperties }: Schema): fc.Arbitrary<unknown> {
    if (typeof additionalProperties === 'object') {
      return fc.dictionary(fc.string({ maxLength: 41 }), this.of(additionalProperties), { maxKeys: 3 });
    }
    const members = Object.entries<Schema>(properties).map(([name, schema]) => [name, this.of(schema)]);
    return fc.record(Object.fromEntries(members), { requiredKeys: required });
  }
}

/** Text that is JSON, or was until somebody had a hand in it. */
function bodyOf(good: fc.Arbitrary<unknown>): fc.Arbitrary<string | undefined> {
  const json = good.map((value) => JSON.stringify(value));
  const spoiled = fc.tuple(good, fc.nat(), hostile, fc.nat({ max: 3 })).map(([value, at, bad, how]) => {
    const entries = Object.entries(value as object);
    const index = entries.length === 0 ? 0 : at % entries.length;
    const [name = 'extra'] = entries[index] ?? [];
    if (how === 0) entries.splice(index, 1);
    else if (how === 1) entries.push([`${name}2`, bad]);
    else entries[index] = [name, bad];
    return JSON.stringify(Object.fromEntries(entries));
  });
  const torn = fc
    .tuple(json, fc.nat(), fc.constantFrom('', '"', '{', '\\u0000', '1e999', ',"a":1', '\ud800'))
    .map(
      ([body, at, piece]) => body.slice(0, at % (body.length + 1)) + piece + body.slice((at % (body.length + 1)) + 1),
    );
  const twice = json.map((body) => `${body.slice(0, -1)},${body.slice(1)}`);
  const other = fc.oneof(
    hostile.map((value) => JSON.stringify(value)),
    text,
    fc.constantFrom(
      '[]',
      'null',
      '{}',
      '{"a":1,"a":2}',
      `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
      'x'.repeat(110_000),
    ),
  );
  return fc.oneof(
    { weight: 6, arbitrary: json },
    { weight: 6, arbitrary: spoiled },
    { weight: 2, arbitrary: torn },
    { weight: 1, arbitrary: twice },
    { weight: 1, arbitrary: other },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

/** Percent-encoded, also where it is no text at all. */
const encode = (value: unknown): string =>
  encodeURIComponent((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed());
const HEADER_TEXTS = HOSTILE_TEXTS.filter((value) => /^[\t\x20-\x7e]*$/.test(value));

describe('the whole document, fuzzed', () => {
  let app: App;
  let contract: Contract;
  let operations: Operation[];
  let values: Values;
  const ids: Record<string, string[]> = {};
  const callers: Record<string, Client> = {};
  let [answered, succeeded] = [0, 0];
  const agent = new Agent({ keepAlive: true, maxSockets: BATCH });

  beforeAll(async () => {
    app = await startApp({ RATE_LIMIT_LOGIN: '0' });
    const document = (await app.anonymous.get('/openapi.json')).body;
    contract = new Contract(document);
    operations = Object.entries<any>(document.paths).flatMap(([template, methods]) =>
      Object.entries<any>(methods).map(([method, { parameters = [], requestBody }]) => ({
        method: method.toUpperCase(),
        template,
        parameters: parameters.map((each: any) =>
          each.$ref === undefined ? each : document.components.parameters[each.$ref.split('/').at(-1)],
        ),
        body: requestBody?.content['application/json'].schema,
      })),
    );
    for (const who of ['nobody', 'user', 'moderator', 'admin']) callers[who] = await enter(who);
    await furnish();
    values = new Values(document.components.schemas, [NOTHING, ...Object.values(ids).flat()]);
  });
  afterAll(async () => {
    agent.destroy();
    await app?.stop();
  });

  async function enter(who: string): Promise<Client> {
    if (who === 'nobody') return app.anonymous;
    if (who === 'admin') return app.anotherAdmin();
    return who === 'moderator' ? app.moderator() : app.register('Fuzzy User');
  }

  /** Some of everything, so that good requests find something. */
  async function furnish(): Promise<void> {
    const user = callers.user as UserClient;
    const products = await Promise.all([1, 2, 3].map((stock) => app.product({ stock: stock * 1000 })));
    const order = async () =>
      dataOf(await user.post('/orders', { items: [{ productId: products[0].id, quantity: 1 }] }), 201).id;
    ids.products = products.map(({ id }) => id);
    ids.orders = [await order(), await order(), await order()];
    ids.users = [(await app.register('Victim')).id, (await app.register('Victim')).id];
    ids.accounts = [await app.funded(user, 100_000), await app.funded(await app.register('Payee'), 0)];
    const [fromAccountId, toAccountId] = ids.accounts;
    ids.transfers = [dataOf(await user.post('/transfers', { fromAccountId, toAccountId, amount: 1 }), 201).id];
  }

  function requestsOf({ method, template, parameters, body }: Operation): fc.Arbitrary<Sent> {
    const own = Object.entries(ids).find(([name]) => template.includes(`/${name}/`))?.[1] ?? [];
    const id = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...own, ...(own.length > 0 ? [] : [NOTHING])) },
      { weight: 1, arbitrary: fc.constantFrom(NOTHING, NOTHING.toUpperCase(), ...Object.values(ids).flat()) },
      { weight: 1, arbitrary: text.filter((value) => value !== '') },
    );
    const segments = template
      .split('/')
      .map((segment) => (segment.startsWith('{') ? id.map(encode) : fc.constant(segment)));
    const inQuery = parameters.filter((each) => each.in === 'query');
    const query = fc.record({
      known: fc
        .subarray(inQuery, { maxLength: Math.min(3, inQuery.length) })
        .chain((some) =>
          fc.tuple(
            ...some.map(({ name, schema }) =>
              fc
                .oneof({ weight: 5, arbitrary: values.of(schema) }, { weight: 1, arbitrary: hostile })
                .map((value) => `${name}=${encode(value)}`),
            ),
          ),
        ),
      odd: fc.oneof(
        { weight: 15, arbitrary: fc.constant('') },
        {
          weight: 1,
          arbitrary: fc.constantFrom('x=1', '__proto__=1', '%zz', 'limit=1&limit=2', '=', '&&', 'page[]=1', 'q'),
        },
      ),
    });
    const header = fc.constantFrom(...HEADER_TEXTS);
    const headers = fc.record(
      {
        'idempotency-key': fc.oneof(fc.constantFrom('one', 'two', 'three'), header),
        'if-match': fc.oneof(fc.constantFrom('"1"', '"2-1"', '*', 'W/"1"'), header),
        'if-none-match': fc.oneof(fc.constantFrom('"1"', '"2-1"', '*'), header),
        accept: fc.oneof(fc.constantFrom('application/problem+json', '*/*', 'text/html;q=0'), header),
        'content-type': fc.constantFrom(
          'application/json',
          'application/json',
          'text/plain',
          'application/json;charset=latin1',
        ),
        'x-request-id': header,
      },
      { requiredKeys: [] },
    );
    return fc
      .record({
        segments: fc.tuple(...segments),
        query,
        as: fc.constantFrom(...Object.keys(callers)),
        headers: fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: headers }),
        body: body === undefined ? fc.constant(undefined) : bodyOf(values.of(body)),
      })
      .map(({ segments, query, as, headers, body }): Sent => {
        const search = [...query.known, query.odd].filter((part) => part !== '').join('&');
        return { method, path: `${segments.join('/')}${search === '' ? '' : `?${search}`}`, as, headers, body };
      });
  }

  /** @returns what is wrong with the answer, and whether the caller was not known */
  function play(sent: Sent): Promise<{ fault?: string; isUnknown: boolean }> {
    const { method, path, as, headers, body } = sent;
    const { hostname, port } = new URL(app.url);
    const token = callers[as]!.token;
    return new Promise((resolve) => {
      const fail = (fault: string) => {
        resolve({ fault, isUnknown: false });
      };
      const call = request(
        {
          hostname,
          port,
          method,
          path,
          agent,
          timeout: HANG_MS,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
            ...headers,
          },
        },
        (response) => {
          let received = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (received += chunk));
          response.on('end', () => {
            try {
              check(sent, response.statusCode!, response.headers['content-type'] ?? null, received);
              resolve({ isUnknown: response.statusCode === 401 && as !== 'nobody' });
            } catch (error) {
              fail(String(error));
            }
          });
        },
      );
      call.on('timeout', () => {
        fail('no answer');
        call.destroy();
      });
      call.on('error', (error) => {
        fail(String(error));
      });
      call.end(body);
    });
  }

  function check({ method, path }: Sent, status: number, contentType: string | null, received: string): void {
    answered++;
    if (status < 300) succeeded++;
    if (status >= 500) throw new Error(`${status} ${received}`);
    const body: unknown = contentType?.includes('json') === true && received !== '' ? JSON.parse(received) : undefined;
    contract.check({ method, path: path.split('?', 1)[0]!, status, contentType, body, text: received });
    if (/node_modules|QueryFailed|SELECT /.test(received)) throw new Error(`It shows its inside: ${received}`);
  }

  it(`${REQUESTS} requests with seed ${SEED}`, async () => {
    const batches = fc.array(fc.oneof(...operations.map(requestsOf)), { minLength: BATCH, maxLength: BATCH });
    const property = fc.asyncProperty(batches, async (batch) => {
      const outcomes = await Promise.all(batch.map(play));
      for (const [index, { fault, isUnknown }] of outcomes.entries()) {
        const { as } = batch[index]!;
        // Some request has logged them out, or worse: somebody else takes their place.
        if (isUnknown) callers[as] = await enter(as);
        if (fault !== undefined) throw new Error(`${JSON.stringify(batch[index]).slice(0, 3000)}\n${fault}`);
      }
    });
    await fc.assert(property, { numRuns: Math.ceil(REQUESTS / BATCH), seed: SEED, endOnFailure: true });
    // Else it would only show that bad requests are refused.
    expect(answered).toBe(REQUESTS);
    expect(succeeded / answered).toBeGreaterThan(0.1);
    expect((await app.anonymous.get('/health')).status).toBe(200);
    expect(app.logs().filter(({ level }) => level === 'error')).toEqual([]);
  });
});
