import type { Client } from './index.js';
import type { components, paths } from './schema.js';
import { StoaError } from './stoa-error.js';

interface ListAnswer {
  data: unknown[];
  meta: components['schemas']['ListMeta'];
}
type Answer<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

/** The paths of all lists. */
export type ListPath = {
  [Path in keyof paths]: [Answer<Path>] extends [never] ? never : Answer<Path> extends ListAnswer ? Path : never;
}[keyof paths];

/** What the list at this path is a list of. */
export type ListItem<Path extends ListPath> = Answer<Path> extends { data: (infer Item)[] } ? Item : never;

type Parameters<Path extends ListPath> = paths[Path] extends { get: { parameters: infer Given } } ? Given : never;
type Query<Path extends ListPath> = Parameters<Path> extends { query?: infer Given } ? NonNullable<Given> : never;
type PathParameters<Path extends ListPath> = Parameters<Path> extends { path: infer Given } ? { path: Given } : object;
type ListParameters<Path extends ListPath> = { query?: Omit<Query<Path>, 'cursor' | 'page'> } & PathParameters<Path>;
type Arguments<Path extends ListPath> =
  object extends ListParameters<Path> ? [params?: ListParameters<Path>] : [params: ListParameters<Path>];

/**
 * Every entry of a list, page after page by the cursor, each once whatever is added meanwhile. Ask for bigger pages
 * with `limit`; stop whenever you like.
 *
 * @throws StoaError where the server refuses a page
 */
export async function* list<Path extends ListPath>(
  client: Client,
  path: Path,
  ...[params]: Arguments<Path>
): AsyncGenerator<ListItem<Path>, void, undefined> {
  let cursor: string | undefined;
  do {
    const query = { ...params?.query, ...(cursor !== undefined && { cursor }) };
    const { data: answer, error, response } = await get(client, path, { params: { ...params, query } });
    if (answer === undefined) throw new StoaError(error, response.status);
    yield* answer.data as ListItem<Path>[];
    const { pagination } = answer.meta;
    // A feed gives a cursor at its end too, to come back with later.
    cursor = 'nextCursor' in pagination && pagination.hasNext ? (pagination.nextCursor ?? undefined) : undefined;
  } while (cursor !== undefined);
}

type Get = (
  path: string,
  init: object,
) => Promise<{ data?: ListAnswer; error: components['schemas']['ErrorAnswer']; response: Response }>;

/** The types above have made sure of path and parameters; which of all routes it is does not matter here. */
const get = (client: Client, path: string, init: object): ReturnType<Get> => (client.GET as unknown as Get)(path, init);
