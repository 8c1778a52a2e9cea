import { applyDecorators, HttpCode, SetMetadata, type Type } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import type { ErrorCode } from '../errors.js';

/** What the document learns about a route from its controller; the rest follows from rules, in `openapi/`. */
export const ANSWERS = 'stoa:answers';
export interface AnswersOptions {
  /** What a 409 of this route means where it is a plain `CONFLICT`. */
  conflict?: string;
  /** The codes that this route may fail with beside those of every route of its kind. */
  fails?: readonly ErrorCode[];
  /** What a client calls it, where the rule in `openapi/operation-id.ts` gives no good name. */
  operationId?: string;
  /** The data is an array, all of it at once. */
  each?: boolean;
}
export interface RouteAnswers extends AnswersOptions {
  status: number;
  view: Type | null;
}

const DESCRIPTIONS = { 200: 'Done', 201: 'Created', 202: 'Accepted for later', 204: 'Done' };

/**
 * What the route answers when all is well: one thing, `[a list]` of things with paging, or nothing (`null`). Headers,
 * examples, and the failures that any route of its kind may have, are added to the document by themselves.
 */
export function Answers(
  status: 200 | 201 | 202 | 204,
  view: Type | [Type] | null,
  options: AnswersOptions = {},
): MethodDecorator {
  const isList = Array.isArray(view);
  const type = isList ? view[0] : view;
  // 204 has no body; any other answer that says nothing says so.
  const item = type ? { $ref: getSchemaPath(type) } : status === 204 ? null : { type: 'null' };
  const data = item && (isList ? { type: 'array', maxItems: 100, items: item } : item);
  const all = options.each === true && item ? { type: 'array', items: item } : data;
  return applyDecorators(
    HttpCode(status),
    SetMetadata(ANSWERS, { ...options, status, view: type } satisfies RouteAnswers),
    ...(type ? [ApiExtraModels(type)] : []),
    ApiResponse({
      status,
      description: DESCRIPTIONS[status],
      ...(all && { content: { 'application/json': { schema: envelope(all, isList ? 'ListMeta' : 'Meta') } } }),
    }),
  );
}

const envelope = (data: object, meta: string) => ({
  type: 'object',
  required: ['success', 'data', 'meta'],
  properties: { success: { type: 'boolean', const: true }, data, meta: { $ref: `#/components/schemas/${meta}` } },
});
