import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { type App, startApp } from './app.js';

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

describe('the OpenAPI document', () => {
  let app: App;
  let document: any;
  let operations: { name: string; path: string; method: string; operation: any }[];
  beforeAll(async () => {
    app = await startApp();
    document = (await app.anonymous.get('/openapi.json')).body;
    operations = Object.entries<any>(document.paths).flatMap(([path, item]) =>
      Object.entries<any>(item).map(([method, operation]) => ({ name: `${method} ${path}`, path, method, operation })),
    );
  });
  afterAll(() => app?.stop());

  const resolve = (node: any): any =>
    node?.$ref === undefined
      ? node
      : node.$ref
          .slice(2)
          .split('/')
          .reduce((at: any, key: string) => at[key.replaceAll('~1', '/')], document);
  const parametersOf = ({ operation }: { operation: any }, where: string): string[] =>
    operation.parameters
      .map(resolve)
      .filter((each: any) => each.in === where)
      .map((each: any) => each.name);
  const headersOf = (operation: any, status: string): string[] =>
    Object.keys(resolve(operation.responses[status]).headers);
  /** Whatever the operations say wrong, each by its name: nothing, one hopes. */
  const faults = (faultOf: (each: (typeof operations)[number]) => string | false | undefined): string[] =>
    operations.flatMap((each) => {
      const fault = faultOf(each);
      return fault === undefined || fault === false ? [] : [`${each.name}: ${fault}`];
    });

  it('names, explains and places every operation', () => {
    const tags = document.tags.map(({ name }: any) => name);
    expect(document.tags.every(({ description }: any) => /\w/.test(description))).toBe(true);
    expect(operations.length).toBeGreaterThan(30);
    expect(
      faults(({ method, operation }) =>
        [
          !METHODS.includes(method) && 'is no method',
          !/^[a-z][A-Za-z0-9]{2,39}$/.test(operation.operationId) && `is called ${operation.operationId}`,
          !/^[A-Z].{2,}[^.]$/.test(operation.summary) && `has the summary ${operation.summary}`,
          !/\.$/.test(operation.description) && `has the description ${operation.description}`,
          operation.tags.length !== 1 && 'has not one tag',
          !operation.tags.every((tag: string) => tags.includes(tag)) && 'has an unknown tag',
          !Array.isArray(operation.security) && 'does not say who may call it',
        ].find((fault) => fault !== false),
      ),
    ).toEqual([]);
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(ids).toEqual(expect.arrayContaining(['listOrders', 'placeOrder', 'payOrder', 'getUser', 'login']));
  });

  it('has an example for every body and every answer, and each fits its schema', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false });
    addFormats.default(ajv);
    ajv.addSchema(document, 'openapi', undefined, false);
    const pointTo = (pointer: string[]) =>
      `openapi#/${pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
    let count = 0;

    const checkMedia = (media: any, pointer: string[]): string[] => {
      const validate = ajv.compile({ $ref: pointTo([...pointer, 'schema']) });
      const examples = [
        ...('example' in media ? [media.example] : []),
        ...Object.values(media.examples ?? {}).map((each) => resolve(each).value),
      ];
      if (examples.length === 0) return [`${pointer.join(' ')} has no example`];
      count += examples.length;
      return examples.flatMap((example) =>
        validate(example) ? [] : [`${pointer.join(' ')} ${ajv.errorsText(validate.errors)}`],
      );
    };
    const checkContent = (node: any, pointer: string[]): string[] =>
      node?.$ref !== undefined
        ? checkContent(resolve(node), node.$ref.slice(2).split('/'))
        : Object.entries<any>(node?.content ?? {}).flatMap(([type, media]) =>
            checkMedia(media, [...pointer, 'content', type]),
          );

    const found = operations.flatMap(({ path, method, operation }) => [
      ...checkContent(operation.requestBody, ['paths', path, method, 'requestBody']),
      ...Object.entries(operation.responses).flatMap(([status, response]) =>
        checkContent(response, ['paths', path, method, 'responses', status]),
      ),
    ]);
    expect(found).toEqual([]);
    expect(count).toBeGreaterThan(500);
  });

  it('shows with each failure a code of its status', () => {
    const statusOf = Object.fromEntries(
      [...document.info.description.matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, status, code]) => [code, status]),
    );
    expect(Object.keys(statusOf)).toEqual(
      document.components.schemas.ErrorAnswer.properties.error.properties.code.enum,
    );
    expect(
      faults(({ operation }) =>
        Object.entries<any>(operation.responses)
          .filter(([status]) => Number(status) >= 400)
          .flatMap(([status, response]) =>
            Object.keys(resolve(response).content['application/json'].examples ?? {})
              .filter((code) => statusOf[code] !== status)
              .map((code) => `${status} shows ${code}`),
          )
          .at(0),
      ),
    ).toEqual([]);
  });

  it('takes no property that a body does not name', () => {
    const isOpen = (schema: any): boolean =>
      schema.properties !== undefined &&
      (schema.additionalProperties !== false || Object.values(schema.properties).some((each) => isOpen(resolve(each))));
    expect(
      faults(({ operation }) => {
        const schema = resolve(operation.requestBody?.content['application/json'].schema);
        return schema !== undefined && isOpen(schema) && 'is open';
      }),
    ).toEqual([]);
  });

  it('tells on every answer where the caller stands with the rate limit, and the name of the request', () => {
    const limits = ['RateLimit', 'RateLimit-Limit', 'RateLimit-Policy', 'RateLimit-Remaining'];
    expect(
      faults(({ path, operation }) =>
        Object.keys(operation.responses).find(
          // Probes are not counted.
          (status) =>
            ![...(path.startsWith('/health') ? [] : limits), 'X-Request-Id'].every((header) =>
              headersOf(operation, status).includes(header),
            ),
        ),
      ),
    ).toEqual([]);
  });

  it('gives a key to every POST with a login, and conditions to what has a version', () => {
    const taking = (header: string) => operations.filter((each) => parametersOf(each, 'header').includes(header));
    const ids = (found: typeof operations) => found.map(({ operation }) => operation.operationId);

    const posts = operations.filter(({ method, operation }) => method === 'post' && operation.security.length > 0);
    expect(ids(taking('Idempotency-Key'))).toEqual(expect.arrayContaining(ids(posts)));
    expect(ids(taking('Idempotency-Key'))).not.toContain('login');
    for (const { operation } of taking('Idempotency-Key')) {
      const [success = ''] = Object.keys(operation.responses);
      expect(headersOf(operation, success)).toContain('Idempotency-Replayed');
      expect(headersOf(operation, '409')).toContain('Retry-After');
    }

    expect(ids(taking('If-None-Match'))).toEqual(
      expect.arrayContaining(['getUser', 'getMe', 'getProduct', 'getOrder']),
    );
    expect(ids(taking('If-None-Match'))).not.toContain('listOrders');
    for (const { operation } of taking('If-None-Match')) {
      expect(headersOf(operation, '200')).toContain('ETag');
      expect(headersOf(operation, '304')).toContain('ETag');
    }
    expect(ids(taking('If-Match'))).toEqual(
      expect.arrayContaining(['updateUser', 'replaceProduct', 'deleteProduct', 'updateOrder']),
    );
    for (const { operation } of taking('If-Match')) expect(operation.responses['412']).toBeDefined();
  });

  it('says of each operation who may call it, as the server does', async () => {
    const reads = operations.filter(({ method }) => method === 'get');
    for (const { path, operation } of reads) {
      const { status } = await app.anonymous.get(path.replace(/\{\w+\}/g, '01890000-0000-7000-8000-000000000000'));
      const schemes: object[] = operation.security;
      const needsLogin = schemes.length > 0 && schemes.every((scheme) => 'bearer' in scheme);
      expect([path, status === 401]).toEqual([path, needsLogin]);
    }
  });
});
