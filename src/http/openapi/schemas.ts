import { STATUS } from '../error.filter.js';
import { MAX_INTEGER } from '../fields.js';
import { nameOf, ref, type Schema } from './model.js';

const INT32 = 2_147_483_647;
/** No string and no array of an answer that says nothing else is longer. */
const LONGEST_TEXT = 65_536;
const LONGEST_ARRAY = 1000;

const object = (properties: Schema, optional: readonly string[] = []): Schema => ({
  type: 'object',
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  properties,
});
const integer = (minimum: number, maximum: number, description: string): Schema => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});
const boolean = (description: string): Schema => ({ type: 'boolean', description });

const code: Schema = { type: 'string', enum: Object.keys(STATUS), description: 'What went wrong, for programs' };
const details: Schema = {
  type: 'array',
  description: 'What is wrong with each field, or facts about the failure',
  items: {
    type: 'object',
    properties: {
      field: { type: 'string', description: 'The path of a field', examples: ['items[0].quantity'] },
      message: { type: 'string' },
    },
    additionalProperties: true,
  },
};
const meta: Schema = {
  requestId: { type: 'string', maxLength: 128, description: 'Names the request in our logs' },
  timestamp: { type: 'string', format: 'date-time', description: 'When it was answered' },
};

/** Shapes that are described once and referred to. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Meta: object(meta),
  ListMeta: object({
    ...meta,
    pagination: { oneOf: [ref('schemas', 'CursorPagination'), ref('schemas', 'PagePagination')] },
  }),
  CursorPagination: {
    ...object({
      limit: integer(1, 100, 'How many entries were asked for'),
      nextCursor: { type: ['string', 'null'], maxLength: 2000, description: 'Where the next page starts' },
      hasNext: boolean('Whether there is a next page now'),
    }),
    additionalProperties: false,
    description: 'Where to go on from, when no `page` was asked for',
  },
  PagePagination: {
    ...object({
      page: integer(1, 10_000, 'The number of this page'),
      limit: integer(1, 100, 'How many entries were asked for'),
      total: integer(0, MAX_INTEGER, 'How many entries there are'),
      totalPages: integer(0, MAX_INTEGER, 'How many pages there are'),
      hasNext: boolean('Whether there is a page after this one'),
      hasPrev: boolean('Whether there is a page before this one'),
    }),
    additionalProperties: false,
    description: 'Where in all of the list this is, when a `page` was asked for',
  },
  ErrorAnswer: {
    ...object({
      success: { type: 'boolean', const: false },
      error: object({ code, message: { type: 'string', description: 'What went wrong, for people' }, details }, [
        'details',
      ]),
      meta: ref('schemas', 'Meta'),
    }),
    description: 'Every failure',
  },
  Problem: {
    ...object(
      {
        type: { type: 'string', format: 'uri-reference' },
        title: { type: 'string', description: "The status' name" },
        status: integer(400, 599, 'The status'),
        detail: { type: 'string', description: 'What went wrong, for people' },
        instance: { type: 'string', format: 'uri-reference', description: 'The path of the request' },
        code,
        details,
        requestId: { type: 'string', maxLength: 128, description: 'Names the request in our logs' },
      },
      ['details'],
    ),
    description: 'Every failure as RFC 9457 has it, for clients that send `Accept: application/problem+json`',
  },
};

/** The schemas that these parts of the document lead to. */
export function reachableFrom(
  root: unknown,
  schemas: Readonly<Record<string, Schema>>,
  found = new Set<string>(),
): Set<string> {
  if (typeof root !== 'object' || root === null) return found;
  for (const [key, value] of Object.entries(root)) {
    const name = key === '$ref' && String(value).startsWith('#/components/schemas/') ? nameOf(value) : undefined;
    if (name === undefined) reachableFrom(value, schemas, found);
    else if (!found.has(name)) reachableFrom(schemas[name], schemas, found.add(name));
  }
  return found;
}

/** Says of a schema, and of all in it, what follows from the rules of this API and what its class need not repeat. */
export function tidy(schema: Schema, { isInput }: { isInput: boolean }): Schema {
  const inner = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inner);
    return typeof value === 'object' && value !== null ? tidy(value as Schema, { isInput }) : value;
  };
  const { properties, items, additionalProperties, ...rest } = schema;
  const result: Schema = { ...rest };
  for (const key of ['oneOf', 'anyOf', 'allOf']) if (key in result) result[key] = inner(result[key]);
  if (items !== undefined) result.items = inner(items);
  if (properties !== undefined) {
    const entries = Object.entries(properties as Record<string, Schema>);
    result.properties = Object.fromEntries(
      entries.map(([name, value]) => [name, inner(name === 'version' ? { minimum: 1, ...value } : value)]),
    );
  }
  if (additionalProperties !== undefined) result.additionalProperties = inner(additionalProperties);
  else if (isInput && properties !== undefined) result.additionalProperties = false;
  return bounded(result, isInput);
}

/** What is counted is an integer that JSON carries exactly, and what is written has an end. */
function bounded(schema: Schema, isInput: boolean): Schema {
  const types = [schema.type].flat();
  const is = (type: string) => types.includes(type);
  if (is('number')) return bounded({ ...schema, type: swap(schema.type) }, isInput);
  if (is('integer')) {
    const { minimum = -MAX_INTEGER, maximum = MAX_INTEGER } = schema as { minimum?: number; maximum?: number };
    return { format: Math.max(-minimum, maximum) > INT32 ? 'int64' : 'int32', ...schema, minimum, maximum };
  }
  if (is('array')) return { maxItems: LONGEST_ARRAY, ...schema };
  if (!is('string') || 'enum' in schema || 'const' in schema) return schema;
  if (schema.format === 'uuid') return { ...schema, minLength: 36, maxLength: 36 };
  if (schema.format === 'date-time') return { ...schema, minLength: isInput ? 17 : 24, maxLength: isInput ? 35 : 24 };
  return { maxLength: LONGEST_TEXT, ...schema };
}

const swap = (type: unknown) =>
  Array.isArray(type) ? type.map((one) => (one === 'number' ? 'integer' : one) as unknown) : 'integer';
