import type { FastifyInstance } from 'fastify';
import { MalformedError, ValidationError, type ErrorCode } from '../errors.js';
import { findInexactness } from './json.js';

/** Enough for every body of ours, and little enough that what walks it may recurse. */
const DEEPEST_NESTING = 20;

export class UnsupportedMediaType extends MalformedError {
  override readonly code: ErrorCode = 'UNSUPPORTED_MEDIA_TYPE';
  constructor() {
    super('The body must be application/json in UTF-8, not compressed');
  }
}

/**
 * A body as it came in. It is parsed only in the validation pipe, so that nobody who is not known, allowed and within
 * their limit costs a parse, and so that an idempotency key can be held against the very bytes.
 */
export class RawBody {
  constructor(
    readonly bytes: Buffer,
    private readonly contentType: string,
    private readonly contentEncoding: string | undefined,
  ) {}

  /** @throws UnsupportedMediaType, MalformedError, ValidationError */
  parse(): Record<string, unknown> {
    if (this.bytes.length === 0) throw new MalformedError('A JSON body is required');
    if (!isJson(this.contentType) || !isPlain(this.contentEncoding)) throw new UnsupportedMediaType();
    const [text, value] = parseJson(this.bytes);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ValidationError('The body must be a JSON object');
    }
    assertStorable(value, '', 0);
    const lost = findInexactness(text, value);
    if (lost !== undefined) throw ValidationError.of(lost.path, lost.message);
    return value as Record<string, unknown>;
  }
}

/** Keeps every body as it is, whatever its type says: who sends it is judged before what it is. */
export function keepRawBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (request, bytes, done) => {
    done(
      null,
      new RawBody(bytes as Buffer, request.headers['content-type'] ?? '', request.headers['content-encoding']),
    );
  });
}

function isJson(contentType: string): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith('charset='));
  return (
    type.trim() === 'application/json' && ['utf-8', '"utf-8"', undefined].includes(charset?.slice('charset='.length))
  );
}

const isPlain = (encoding: string | undefined): boolean => encoding === undefined || encoding === 'identity';

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(bytes: Buffer): [text: string, value: unknown] {
  try {
    const text = utf8.decode(bytes);
    return [text, JSON.parse(text)];
  } catch {
    throw new MalformedError('The body is not valid JSON in UTF-8');
  }
}

/**
 * Refuses what no column can hold or no code should meet: NUL and lone surrogates in any string or key, keys that
 * reach for an object's prototype, nesting without end.
 */
export function assertStorable(value: unknown, path: string, depth: number): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed()) {
      throw ValidationError.of(path, 'must not contain NUL or lone surrogates');
    }
  } else if (typeof value === 'object' && value !== null) {
    if (depth >= DEEPEST_NESTING) throw ValidationError.of(path, 'is nested too deeply');
    if (Array.isArray(value)) {
      value.forEach((item, index) => {
        assertStorable(item, `${path}[${index}]`, depth + 1);
      });
      return;
    }
    for (const [key, item] of Object.entries(value)) {
      if (key.includes('\0') || !key.isWellFormed())
        throw ValidationError.of(path, 'has a property name with NUL or lone surrogates');
      const field = path === '' ? key : `${path}.${key}`;
      if (key in Object.prototype) throw ValidationError.of(field, 'is a name that is not allowed');
      assertStorable(item, field, depth + 1);
    }
  }
}
