import type { OpenAPIObject } from '@nestjs/swagger';
import { TAGGED_OPERATION } from './preconditions.js';

interface Parameter {
  name: string;
  in: string;
  [key: string]: unknown;
}
interface Response {
  description: string;
  headers?: Record<string, unknown>;
}
interface Operation {
  tags?: string[];
  security?: unknown[];
  parameters?: Parameter[];
  responses: Record<string, Response>;
  [TAGGED_OPERATION]?: boolean;
}

const header = (name: string, description: string, example: string): Parameter => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
  example,
});

const IF_NONE_MATCH = header(
  'If-None-Match',
  'The `ETag` of the answer that you have: where it still stands, the answer is 304 without a body',
  '"3"',
);

const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'Makes it safe to send the request again: for 24 hours the same key with the same method, path and body gets the ' +
    'first answer again, and has no second effect. A request that failed leaves no key. A secret is shown the first ' +
    'time only, and is null after that',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
  example: '5f0c2a4e-order-1',
};

const ETAG = {
  description: 'Names this state of the resource, for `If-Match` and `If-None-Match`',
  schema: { type: 'string' },
  example: '"3"',
};

const REPLAYED = {
  description: 'There where this is the answer to an earlier request with the same `Idempotency-Key`',
  schema: { type: 'string', const: 'true' },
};

/** Says of each operation what its conditions are: entity tags, and keys that make it happen once. */
export function describeConditions(document: OpenAPIObject): void {
  for (const methods of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(methods as unknown as Record<string, Operation>)) {
      if (operation[TAGGED_OPERATION] === true) describeTag(method, operation);
      Reflect.deleteProperty(operation, TAGGED_OPERATION);
      if (method === 'post' && takesKey(operation)) describeKey(operation);
    }
  }
}

function describeTag(method: string, operation: Operation): void {
  for (const answer of answersOf(operation)) answer.headers = { ...answer.headers, ETag: ETAG };
  if (method !== 'get') return;
  operation.responses['304'] = { description: 'What you have still stands', headers: { ETag: ETAG } };
  operation.responses['412'] ??= { description: 'It is not what `If-Match` names' };
  operation.parameters = [...(operation.parameters ?? []), IF_NONE_MATCH];
}

/** Those who log in or register are nobody yet, and nobody has keys. */
function takesKey({ tags = [], security }: Operation): boolean {
  return security !== undefined || !tags.includes('Auth');
}

function describeKey(operation: Operation): void {
  for (const answer of answersOf(operation)) answer.headers = { ...answer.headers, 'Idempotency-Replayed': REPLAYED };
  operation.parameters = [...(operation.parameters ?? []), IDEMPOTENCY_KEY];
  operation.responses['409'] ??= { description: 'The first request with this key is still running' };
}

function answersOf({ responses }: Operation): Response[] {
  return Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .map(([, response]) => response);
}
