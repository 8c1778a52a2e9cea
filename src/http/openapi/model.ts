/** As much of OpenAPI 3.1 as the rules here read and write. */
export type Schema = Record<string, unknown>;

export interface Parameter {
  $ref?: string;
  name?: string;
  in?: 'query' | 'path' | 'header';
  required?: boolean;
  description?: string;
  schema?: Schema;
  [more: string]: unknown;
}

export interface MediaType {
  schema: Schema;
  example?: unknown;
  examples?: Record<string, unknown>;
}

export interface Response {
  $ref?: string;
  description?: string;
  headers?: Record<string, unknown>;
  content?: Record<string, MediaType>;
}

export interface Operation {
  operationId: string;
  summary?: string;
  description?: string;
  deprecated?: boolean;
  tags?: string[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, MediaType> };
  responses: Record<string, Response>;
  security?: Record<string, string[]>[];
}

export type PathItem = Record<string, Operation>;

export const JSON_TYPE = 'application/json';
export const PROBLEM_TYPE = 'application/problem+json';

type Kind = 'schemas' | 'headers' | 'parameters' | 'responses' | 'examples';
export const ref = (kind: Kind, name: string): { $ref: string } => ({ $ref: `#/components/${kind}/${name}` });

/** The name at the end of a reference. */
export const nameOf = (reference: unknown): string => String(reference).split('/').at(-1) ?? '';
