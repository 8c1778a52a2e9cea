import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { EXAMPLES, sharedName } from './failures.js';
import { HEADERS, PARAMETERS } from './headers.js';
import { introduction, TAGS, TITLE } from './introduction.js';
import { type Operation, type Parameter, type PathItem, ref, type Response, type Schema } from './model.js';
import { complete, dataOf, hasVersion, LIST_PARAMETERS, plainParameter } from './operations.js';
import { keyOf, type Route, routesOf } from './routes.js';
import { reachableFrom, SCHEMAS, tidy } from './schemas.js';

type Paths = Record<string, PathItem>;

/**
 * The document that describes all routes, in OpenAPI 3.1. Controllers and DTOs say what is their own; everything that
 * holds for all routes of a kind is a rule here, so that a new route has it without asking.
 */
export function createDocument(app: INestApplication): OpenAPIObject {
  const routes = routesOf(app);
  const scanned = SwaggerModule.createDocument(app, frame(), { operationIdFactory: keyOf });
  const paths = withoutRepeats(scanned.paths as unknown as Paths);
  const schemas = schemasOf(scanned.components?.schemas as Record<string, Schema>, paths);
  const parameters = { ...PARAMETERS, ...listParameters(paths) };

  const described = mapOperations(paths, (operation, path, method) =>
    complete(operation, {
      path,
      method,
      route: routes.get(operation.operationId) as Route,
      isVersioned: hasVersion(dataOf(paths[path]?.get?.responses['200']), schemas),
      hasSuccessor: method in (paths[path.replace('/v1/', '/v2/')] ?? {}) && path.includes('/v1/'),
      schemas,
    }),
  );
  const { paths: shared, responses } = shareFailures(inOrder(described));
  return {
    ...scanned,
    servers: [{ url: '/', description: 'This server, local or in production', 'x-internal': false }],
    tags: tagsOf(shared),
    paths: shared,
    components: {
      securitySchemes: scanned.components?.securitySchemes,
      parameters: sorted(inUse('parameters', parameters, shared)),
      headers: sorted(inUse('headers', HEADERS, shared, responses)),
      responses: sorted(responses),
      examples: sorted(inUse('examples', EXAMPLES, shared, responses)),
      schemas: sorted(inUse('schemas', schemas, shared, responses, schemas)),
    },
  } as unknown as OpenAPIObject;
}

/** What is told of the whole. */
const frame = () =>
  new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(TITLE)
    .setDescription(introduction())
    .setVersion('1')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'The `accessToken` that register, login and refresh answer with: a JWT, handled as RFC8725 asks.',
      },
      'bearer',
    )
    .build();

function mapOperations(paths: Paths, change: (operation: Operation, path: string, method: string) => Operation): Paths {
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [
      path,
      Object.fromEntries(Object.entries(item).map(([method, operation]) => [method, change(operation, path, method)])),
    ]),
  );
}

/** A handler that answers the same under several versions is described under the first. */
function withoutRepeats(paths: Paths): Paths {
  const seen = new Set<string>();
  const kept = Object.entries(paths).map(([path, item]): [string, PathItem] => {
    const operations = Object.entries(item).filter(([method, { operationId }]) => {
      const key = `${operationId} ${method} ${path.replace(/^\/api\/v\d+/, '')}`;
      return !seen.has(key) && seen.add(key);
    });
    return [path, Object.fromEntries(operations)];
  });
  return Object.fromEntries(kept.filter(([, item]) => Object.keys(item).length > 0));
}

/** The shapes in use, those of requests closed to properties that they do not name. */
function schemasOf(scanned: Readonly<Record<string, Schema>>, paths: Paths): Record<string, Schema> {
  const all = { ...scanned, ...SCHEMAS };
  const operations = Object.values(paths).flatMap((item) => Object.values(item));
  const inputs = reachableFrom(
    operations.map(({ requestBody }) => requestBody),
    all,
  );
  return Object.fromEntries(
    Object.entries(all).map(([name, schema]) => [name, tidy(schema, { isInput: inputs.has(name) })]),
  );
}

/** Those that a list takes, as the first list has them. */
function listParameters(paths: Paths): Record<string, Parameter> {
  const all = Object.values(paths).flatMap((item) => Object.values(item).flatMap(({ parameters = [] }) => parameters));
  const found = Object.entries(LIST_PARAMETERS).flatMap(([name, component]) => {
    const parameter = all.find((each) => each.name === name && each.in === 'query');
    return parameter === undefined ? [] : [[component, plainParameter(parameter)] as const];
  });
  return Object.fromEntries(found);
}

/** By their tags, in the order that a reader wants; within one as the controllers have them. */
function inOrder(paths: Paths): Paths {
  const names = TAGS.map(({ name }) => name);
  const rank = ([path, item]: [string, PathItem]) => {
    const index = names.indexOf(Object.values(item)[0]?.tags?.[0] ?? '');
    return (path.startsWith('/api/v1/') ? 0 : 1000) + (index === -1 ? names.length : index);
  };
  return Object.fromEntries(Object.entries(paths).sort((one, other) => rank(one) - rank(other)));
}

function tagsOf(paths: Paths): { name: string; description: string }[] {
  const inUse = new Set(Object.values(paths).flatMap((item) => Object.values(item).flatMap(({ tags = [] }) => tags)));
  const unknown = [...inUse].filter((name) => !TAGS.some((tag) => tag.name === name));
  if (unknown.length > 0) throw new Error(`Describe these tags in openapi/introduction.ts: ${unknown.join(', ')}`);
  return TAGS.filter(({ name }) => inUse.has(name));
}

/** A failure that means nothing of its own on its route is described once and referred to. */
function shareFailures(paths: Paths): { paths: Paths; responses: Record<string, Response> } {
  const responses: Record<string, Response> = {};
  const share = (response: Response): Response => {
    const name = sharedName(response);
    if (name === undefined) return response;
    responses[name] = response;
    return ref('responses', name);
  };
  const shared = mapOperations(paths, ({ responses: given, ...operation }) => ({
    ...operation,
    responses: Object.fromEntries(Object.entries(given).map(([status, response]) => [status, share(response)])),
  }));
  return { paths: shared, responses };
}

const sorted = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1)));

/** Those of the components that something refers to. */
function inUse<T>(kind: string, components: Readonly<Record<string, T>>, ...users: unknown[]): Record<string, T> {
  const text = JSON.stringify(users);
  return Object.fromEntries(
    Object.entries(components).filter(([name]) => text.includes(`"#/components/${kind}/${name}"`)),
  );
}
