import { nameOf, type Schema } from './model.js';

export const EXAMPLE_ID = '019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7';
const EXAMPLE_TIME = '2026-01-31T09:30:00.000Z';
export const EXAMPLE_META = { requestId: 'checkout-7f3a91', timestamp: EXAMPLE_TIME };

/** What properties of these names look like, wherever they stand. */
const BY_NAME: Readonly<Record<string, unknown>> = {
  accessToken: 'eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl',
  currency: 'EUR',
  email: 'ann@example.com',
  emailVerified: true,
  expiresIn: 900,
  ip: '203.0.113.7',
  limit: 20,
  name: 'Ann Archer',
  nextCursor: 'WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ',
  refreshExpiresIn: 604_800,
  refreshToken: 'eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl',
  requestId: EXAMPLE_META.requestId,
  token: 'eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoibWFpbCJ9.c2lnbmF0dXJl',
  url: 'https://shop.example/hooks/stoa',
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0',
};

const BY_FORMAT: Readonly<Record<string, unknown>> = {
  uuid: EXAMPLE_ID,
  'date-time': EXAMPLE_TIME,
  email: 'ann@example.com',
  uri: 'https://shop.example',
  'uri-reference': '/api/v1',
};

/**
 * A value that fits the schema: its own example, or one that follows from its name, its format or its limits. Of what a
 * request may leave out, it has what its class gives an example of.
 */
export function exampleOf(
  schema: Schema,
  schemas: Readonly<Record<string, Schema>>,
  { isInput = false, name = '' } = {},
): unknown {
  const again = (inner: unknown, innerName = name) => exampleOf(inner as Schema, schemas, { isInput, name: innerName });
  if (schema.example !== undefined) return schema.example;
  if (Array.isArray(schema.examples)) return schema.examples[0] as unknown;
  if ('const' in schema) return schema.const;
  if (schema.$ref !== undefined) return again(schemas[nameOf(schema.$ref)]);
  if (Array.isArray(schema.allOf)) {
    const parts = schema.allOf.map((part) => again(part));
    return parts.length === 1 ? parts[0] : Object.assign({}, ...(parts as object[]));
  }
  const [choice] = [schema.oneOf, schema.anyOf].flat().filter((each) => each !== undefined);
  if (choice !== undefined) return again(choice);
  if (Array.isArray(schema.enum)) return schema.default ?? (schema.enum[0] as unknown);
  const types = [schema.type].flat();
  if (types.includes('object')) {
    const { required = [], properties = {} } = schema as { required?: string[]; properties?: Record<string, Schema> };
    const shown = Object.entries(properties).filter(
      ([key, value]) => !isInput || required.includes(key) || value.example !== undefined,
    );
    return Object.fromEntries(shown.map(([key, value]) => [key, again(value, key)]));
  }
  if (types.includes('array')) return [again(schema.items)];
  const byFormat = BY_FORMAT[String(schema.format)];
  if (byFormat !== undefined) return byFormat;
  if (name in BY_NAME) return BY_NAME[name];
  if (types.includes('boolean')) return true;
  if (types.includes('integer')) return Math.max(1, Number(schema.minimum ?? 1));
  return types.includes('null') ? null : name;
}
