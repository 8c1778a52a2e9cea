import { applyDecorators, HttpCode, type INestApplication, type Type } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiExtraModels,
  ApiResponse,
  DocumentBuilder,
  getSchemaPath,
  type OpenAPIObject,
  SwaggerModule,
} from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { stringify } from 'yaml';
import { STATUS } from './error.filter.js';

type Schema = Record<string, unknown>;
interface Operation {
  summary?: string;
  operationId?: string;
  parameters?: { in: string }[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
}

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const envelope = (data: Schema, meta: string): Schema => ({
  type: 'object',
  required: ['success', 'data', 'meta'],
  properties: { success: { type: 'boolean', const: true }, data, meta: ref(meta) },
});

/**
 * What the route answers when all is well: one thing, `[a list]` of things with paging, or nothing (`null`). Failures
 * that any route may have are added to the document by themselves; `conflict` says what a 409 of this one means.
 */
export function Answers(
  status: 200 | 201 | 202 | 204,
  view: Type | [Type] | null,
  { conflict, each = false }: { conflict?: string; each?: boolean } = {},
): MethodDecorator {
  const description = { 200: 'Done', 201: 'Created', 202: 'Accepted for later', 204: 'Done' }[status];
  const type = Array.isArray(view) ? view[0] : view;
  const item: Schema | null = type ? { $ref: getSchemaPath(type) } : status === 204 ? null : { type: 'null' };
  const schema =
    item &&
    (Array.isArray(view)
      ? envelope({ type: 'array', items: item }, 'ListMeta')
      : envelope(each ? { type: 'array', items: item } : item, 'Meta'));
  return applyDecorators(
    HttpCode(status),
    ...(type ? [ApiExtraModels(type)] : []),
    ApiResponse({
      status,
      description,
      ...(schema && { content: { 'application/json': { schema } } }),
      ...(status === 201 && { headers: { Location: { description: 'Where it is', schema: { type: 'string' } } } }),
    }),
    ...(conflict === undefined ? [] : [ApiResponse({ status: 409, description: conflict })]),
  );
}

/** Lets the document say that the route needs a login: told to it by its guards' own decorators. */
export const Secured = (): MethodDecorator & ClassDecorator => ApiBearerAuth();

/** Shapes that are described once and referred to. */
const SCHEMAS: Record<string, Schema> = {
  Meta: {
    type: 'object',
    required: ['requestId', 'timestamp'],
    properties: { requestId: { type: 'string' }, timestamp: { type: 'string', format: 'date-time' } },
  },
  ListMeta: {
    type: 'object',
    required: ['requestId', 'timestamp', 'pagination'],
    properties: {
      requestId: { type: 'string' },
      timestamp: { type: 'string', format: 'date-time' },
      pagination: { oneOf: [ref('CursorPagination'), ref('PagePagination')] },
    },
  },
  CursorPagination: {
    type: 'object',
    required: ['limit', 'nextCursor', 'hasNext'],
    additionalProperties: false,
    properties: { limit: { type: 'integer' }, nextCursor: { type: ['string', 'null'] }, hasNext: { type: 'boolean' } },
  },
  PagePagination: {
    type: 'object',
    required: ['page', 'limit', 'total', 'totalPages', 'hasNext', 'hasPrev'],
    additionalProperties: false,
    properties: {
      page: { type: 'integer' },
      limit: { type: 'integer' },
      total: { type: 'integer' },
      totalPages: { type: 'integer' },
      hasNext: { type: 'boolean' },
      hasPrev: { type: 'boolean' },
    },
  },
  ErrorAnswer: {
    type: 'object',
    required: ['success', 'error', 'meta'],
    properties: {
      success: { type: 'boolean', const: false },
      error: {
        type: 'object',
        required: ['code', 'message'],
        properties: {
          code: { type: 'string', enum: Object.keys(STATUS) },
          message: { type: 'string' },
          details: { type: 'array', items: { type: 'object' } },
        },
      },
      meta: ref('Meta'),
    },
  },
  Problem: {
    description: 'RFC 9457 problem details',
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'instance', 'code', 'requestId'],
    properties: {
      type: { type: 'string' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      instance: { type: 'string' },
      code: { type: 'string', enum: Object.keys(STATUS) },
      details: { type: 'array', items: { type: 'object' } },
      requestId: { type: 'string' },
    },
  },
};

const FAILURES: Record<number, string> = {
  400: 'Not parseable',
  401: 'No login, or one that is no longer good',
  403: 'Not allowed',
  404: 'There is no such thing',
  409: 'The state forbids it',
  405: 'The path does not take this method',
  413: 'The body is over 100 KiB',
  415: 'The body is not JSON',
  422: 'Parseable, but not acceptable',
  429: 'Too many requests',
  500: 'A defect on our side',
  503: 'Not now, try again',
};

const failureName = (status: number): string => `Failure${status}`;

/** The document that describes all routes, in OpenAPI 3.1. */
export function createDocument(app: INestApplication): OpenAPIObject {
  const document = SwaggerModule.createDocument(
    app,
    new DocumentBuilder()
      .setOpenAPIVersion('3.1.0')
      .setTitle('Stoa')
      .setDescription('Users, auth and orders, with the catalogue, money and events they need.')
      .setVersion('1')
      .setLicense('MIT', 'https://opensource.org/license/mit')
      .addServer('/')
      .addBearerAuth()
      .build(),
    { operationIdFactory: (controller, method) => `${controller.replace(/Controller$/, '').toLowerCase()}_${method}` },
  );
  complete(document);
  return as31(document) as OpenAPIObject;
}

/** OpenAPI 3.0 said `nullable`, 3.1 says it with a type, as JSON Schema does. */
function as31(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(as31);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...rest } = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, as31(value)]));
  return nullable === true ? { ...rest, type: [rest.type, 'null'] } : rest;
}

function complete(document: OpenAPIObject): void {
  const components = document.components as Record<string, Record<string, unknown>>;
  components.schemas = { ...components.schemas, ...SCHEMAS };
  components.responses = Object.fromEntries(
    Object.entries(FAILURES).map(([status, description]) => [failureName(Number(status)), failure(description)]),
  );
  for (const methods of Object.values(document.paths)) {
    for (const operation of Object.values(methods as Record<string, Operation>)) addFailures(operation);
  }
}

function failure(description: string): Schema {
  return {
    description,
    content: {
      'application/json': { schema: ref('ErrorAnswer') },
      'application/problem+json': { schema: ref('Problem') },
    },
  };
}

/** What every route of its kind may answer, unless the route has said something more exact. */
function addFailures(operation: Operation): void {
  const { responses, parameters = [], requestBody } = operation;
  const conflict = responses['409'] as { description: string } | undefined;
  if (conflict !== undefined) responses['409'] = failure(conflict.description);
  const hasId = parameters.some((parameter) => parameter.in === 'path');
  const statuses = [
    ...(requestBody === undefined ? [] : [413, 415]),
    ...(hasId ? [404] : []),
    ...(parameters.length > 0 || requestBody !== undefined ? [400] : []),
    ...[401, 403, 405, 422, 429, 500, 503],
  ];
  for (const status of statuses) responses[status] ??= { $ref: `#/components/responses/${failureName(status)}` };
}

/** Serves the document and a page to try it out on. */
export function serveDocument(app: INestApplication, document: OpenAPIObject): void {
  const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
  fastify.get('/openapi.json', (_request, reply) => reply.type('application/json').send(JSON.stringify(document)));
  fastify.get('/openapi.yaml', (_request, reply) => reply.type('application/yaml').send(stringify(document)));
  SwaggerModule.setup('docs', app, document, {
    raw: false,
    customSiteTitle: 'Stoa',
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true },
  });
}
