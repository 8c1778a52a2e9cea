import type { ErrorCode } from '../../errors.js';
import { STATUS } from '../error.filter.js';
import { exampleOf } from './examples.js';
import { failure } from './failures.js';
import { HEADERS_OF_STATUS, withHeaders } from './headers.js';
import { JSON_TYPE, nameOf, type Operation, type Parameter, ref, type Response, type Schema } from './model.js';
import { operationId } from './operation-id.js';
import type { Route } from './routes.js';
import { tidy } from './schemas.js';

export interface Place {
  path: string;
  method: string;
  route: Route;
  /** The resource at this path has a version, and so an ETag. */
  isVersioned: boolean;
  /** The path of the same route in a later version of the API. */
  hasSuccessor: boolean;
  schemas: Readonly<Record<string, Schema>>;
}

/** Parameters of lists that are the same everywhere, and stand in `components` by these names. */
export const LIST_PARAMETERS: Readonly<Record<string, string>> = {
  limit: 'Limit',
  cursor: 'Cursor',
  page: 'Page',
  sortOrder: 'SortOrder',
};

/** The schema of `data` in an answer of success. */
export function dataOf(response: Response | undefined): Schema | undefined {
  const schema = response?.content?.[JSON_TYPE]?.schema;
  return (schema?.properties as Record<string, Schema> | undefined)?.data;
}

/** Whether it is one thing that bears a version. */
export function hasVersion(data: Schema | undefined, schemas: Readonly<Record<string, Schema>>): boolean {
  const { properties = {} } = schemas[nameOf(data?.$ref)] ?? {};
  return 'version' in (properties as Schema);
}

/** The operation with everything that follows for it from the rules of this API. */
export function complete(operation: Operation, place: Place): Operation {
  const { method, path, route, isVersioned, hasSuccessor, schemas } = place;
  const status = String(route.answers?.status ?? 200);
  const success = operation.responses[status];
  const data = dataOf(success);
  const takesKey = method === 'post' && route.takesKey;
  const takesMatch = isVersioned && ['put', 'patch', 'delete'].includes(method);
  const takesNoneMatch = isVersioned && method === 'get';
  const given = operation.parameters ?? [];

  const isList = nameOf(listMetaOf(success)) === 'ListMeta';
  const shared = [
    ...(takesKey ? ['IdempotencyKey'] : []),
    ...(takesMatch ? ['IfMatch'] : []),
    ...(takesNoneMatch ? ['IfNoneMatch'] : []),
    'RequestId',
  ];
  const headers = [
    ...(takesKey ? ['Idempotency-Replayed'] : []),
    ...(hasVersion(data, schemas) ? ['ETag'] : []),
    ...(method === 'get' ? ['Cache-Control'] : []),
    ...(hasSuccessor ? ['Deprecation', 'Link'] : []),
  ];
  const failures = failuresOf(codesOf(operation, { ...place, takesKey }), route);
  // What the route says itself of a status wins over what every route of its kind says of it. What nobody has described is
  // the status that a POST would have if it said nothing.
  const own = Object.entries(operation.responses).filter(
    ([, { content, description }]) => content !== undefined && description !== '',
  );
  const responses = {
    ...failures,
    [status]: answerOf(success, status, headers, place),
    ...Object.fromEntries(own.map(([code, response]) => [code, answerOf(response, code, headers, place)])),
  };
  if (takesNoneMatch) {
    responses['304'] = withHeaders({ description: 'What you have is still the current version' }, [
      'ETag',
      'Cache-Control',
      ...(hasSuccessor ? ['Deprecation', 'Link'] : []),
    ]);
  }
  return {
    operationId: route.answers?.operationId ?? operationId({ name: route.handler, method, path, isList }),
    summary: operation.summary ?? '',
    description: describe(operation, route),
    ...(hasSuccessor && { deprecated: true }),
    tags: operation.tags ?? [],
    security: SECURITY[route.access],
    parameters: [...given.map(asShared), ...shared.map((name) => ref('parameters', name))],
    ...(operation.requestBody && { requestBody: bodyOf(operation.requestBody, schemas) }),
    responses: Object.fromEntries(Object.entries(responses).sort(([one], [other]) => Number(one) - Number(other))),
  };
}

const SECURITY: Record<Route['access'], Record<string, string[]>[]> = {
  login: [{ bearer: [] }],
  anyone: [{}, { bearer: [] }],
  'token ignored': [],
};

const listMetaOf = (response: Response | undefined): unknown =>
  (response?.content?.[JSON_TYPE]?.schema.properties as Record<string, Schema> | undefined)?.meta?.$ref;

function answerOf(
  response: Response | undefined,
  status: string,
  headers: string[],
  { schemas, route }: Place,
): Response {
  const media = response?.content?.[JSON_TYPE];
  const schema = media && tidy(media.schema, { isInput: false });
  const content = schema && { content: { [JSON_TYPE]: { schema, example: exampleOf(schema, schemas) } } };
  const all = [...headers, ...(status === '201' ? ['Location'] : []), ...(HEADERS_OF_STATUS[Number(status)] ?? [])];
  return withHeaders({ description: response?.description ?? '', ...content }, all, route);
}

function bodyOf(body: NonNullable<Operation['requestBody']>, schemas: Place['schemas']): Operation['requestBody'] {
  const { schema = {} } = body.content[JSON_TYPE] ?? {};
  return {
    required: true,
    content: { [JSON_TYPE]: { schema, example: exampleOf(schema, schemas, { isInput: true }) } },
  };
}

/**
 * A parameter that is described once is referred to. None has an example: the page to try routes on would fill in all
 * of them, and a list that is filtered by everything is empty.
 */
function asShared(parameter: Parameter): Parameter {
  const name = LIST_PARAMETERS[parameter.name ?? ''];
  if (name !== undefined && parameter.in === 'query') return ref('parameters', name);
  return plainParameter(parameter);
}

export function plainParameter({
  name,
  in: where,
  required,
  description,
  schema = {},
  example: _,
}: Parameter): Parameter {
  const { example, ...limits } = tidy(schema, { isInput: true });
  const told = description ?? (where === 'path' ? 'The id of it' : undefined);
  const hint = example === undefined ? undefined : `For example \`${example as string}\``;
  const text = [told, hint].filter((each) => each !== undefined).join('. ');
  return {
    ...(name !== undefined && { name }),
    ...(where !== undefined && { in: where }),
    required: required ?? false,
    ...(text !== '' && { description: text }),
    schema: limits,
  };
}

function describe({ description, summary }: Operation, { access, roles }: Route): string {
  const who =
    roles !== undefined
      ? `For ${roles.map((role) => `${role}s`).join(' and ')}.`
      : { login: 'Needs a login.', anyone: 'Needs no login.', 'token ignored': 'Needs no login.' }[access];
  const more = description?.trim() ?? '';
  return [more === '' ? '' : more.replace(/[^.!?]$/, '$&.'), who]
    .filter((text) => text !== '' && text !== summary)
    .join(' ');
}

/** Every code that the operation may fail with. */
function codesOf(
  { parameters = [] }: Operation,
  { method, route, isVersioned, takesKey }: Place & { takesKey: boolean },
): ErrorCode[] {
  const takes = (where: string) => parameters.some((parameter) => parameter.in === where);
  const when = (condition: boolean, ...codes: ErrorCode[]) => (condition ? codes : []);
  return [
    'MALFORMED_REQUEST',
    ...when(
      parameters.some(({ name }) => name === 'cursor'),
      'INVALID_CURSOR',
    ),
    ...when(takesKey, 'INVALID_IDEMPOTENCY_KEY', 'IDEMPOTENCY_IN_PROGRESS'),
    ...when(route.access !== 'token ignored', 'UNAUTHORIZED', 'TOKEN_EXPIRED', 'TOKEN_REVOKED', 'FORBIDDEN'),
    ...when(takes('path'), 'NOT_FOUND'),
    'METHOD_NOT_ALLOWED',
    ...when(route.answers?.conflict !== undefined, 'CONFLICT'),
    ...(route.answers?.fails ?? []),
    // A read honours If-Match too, though few will want that.
    ...when(isVersioned && method !== 'post', 'PRECONDITION_FAILED'),
    ...when(method !== 'get', 'PAYLOAD_TOO_LARGE'),
    ...when(method !== 'get', 'UNSUPPORTED_MEDIA_TYPE'),
    'VALIDATION_ERROR',
    ...when(takesKey, 'IDEMPOTENCY_KEY_REUSED'),
    ...when(!route.isUncounted, 'RATE_LIMITED'),
    'INTERNAL_ERROR',
    'SERVICE_UNAVAILABLE',
  ];
}

/** The answers to these codes: first those that are this route's own. */
function failuresOf(codes: ErrorCode[], { answers }: Route): Record<string, Response> {
  const first = new Set([...(answers?.fails ?? []), 'CONFLICT']);
  const statuses = [...new Set(codes.map((code) => STATUS[code]))];
  return Object.fromEntries(
    statuses.map((status) => {
      const all = [...new Set(codes)].filter((code) => STATUS[code] === status);
      const ownFirst = [...all.filter((code) => first.has(code)), ...all.filter((code) => !first.has(code))];
      return [String(status), failure(ownFirst, answers?.conflict)];
    }),
  );
}
