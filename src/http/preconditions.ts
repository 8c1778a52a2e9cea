import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { MalformedError } from '../errors.js';
import { StaleVersion, type VersionCheck } from '../stale-version.js';
import type { Request } from './request.js';
import { says, type TagOf } from './route-policy.js';

/**
 * What an answer's ETag says, without the quotes: `of` is given what the handler returns. It begins with the resource's
 * version, and goes on, behind a dash, with what else of the answer can change while the version stays.
 */
export const Tagged = <T>(of: TagOf<T>) => says({ tagOf: of as TagOf<unknown> });

/** The tag of a resource whose version changes with all that is shown of it. */
export const byVersion = ({ version }: { version: number }): string => `${version}`;

/**
 * The check that a write makes once it holds the row: whether the version is one of those that `If-Match` names, and
 * none of those that `If-None-Match` does. RFC 9110, section 13.1.
 */
export const IfMatch = createParamDecorator((_: unknown, context: ExecutionContext): VersionCheck =>
  versionCheck(context.switchToHttp().getRequest<Request>()),
);

export function versionCheck({ headers }: Pick<Request, 'headers'>): VersionCheck {
  const wanted = readTags('If-Match', headers['if-match']);
  const unwanted = readTags('If-None-Match', headers['if-none-match']);
  return (version) => {
    if (wanted !== undefined && !names(wanted, version, 'strong')) throw new StaleVersion();
    if (unwanted !== undefined && names(unwanted, version, 'weak')) throw new StaleVersion();
  };
}

/** Of a GET: whether the client has this very answer already. @throws StaleVersion, MalformedError */
export function isNotModified({ headers }: Pick<Request, 'headers'>, tag: string): boolean {
  const wanted = readTags('If-Match', headers['if-match']);
  if (wanted !== undefined && !names(wanted, versionOf(tag), 'strong')) throw new StaleVersion();
  const known = headers['if-none-match'];
  if (known === undefined) return false;
  const tags = parseTags(known);
  // One that can not be read is no reason to refuse an answer: it is given in full.
  return tags === '*' || (tags?.some(({ text }) => text === tag) ?? false);
}

interface Tag {
  text: string;
  isWeak: boolean;
}

/** @throws MalformedError where a list of entity tags is due and something else comes */
function readTags(header: string, value: string | undefined): Tag[] | '*' | undefined {
  if (value === undefined) return undefined;
  const tags = parseTags(value);
  if (tags === undefined) throw new MalformedError(`${header} takes entity tags in quotes, or *`);
  return tags;
}

const ENTITY_TAG = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/;
const ENTITY_TAGS = new RegExp(`^[ \\t,]*${ENTITY_TAG.source}([ \\t]*,[ \\t,]*${ENTITY_TAG.source})*[ \\t,]*$`);

function parseTags(value: string): Tag[] | '*' | undefined {
  if (value.trim() === '*') return '*';
  if (!ENTITY_TAGS.test(value)) return undefined;
  return [...value.matchAll(new RegExp(ENTITY_TAG, 'g'))].map(([, weak, text = '']) => ({
    text,
    isWeak: weak !== undefined,
  }));
}

const versionOf = (tag: string): number => Number(/^[1-9]\d{0,9}(?=$|-\w+$)/.exec(tag)?.[0] ?? NaN);

/** Strong comparison never takes a weak tag; either way it is the version alone that counts. */
function names(tags: Tag[] | '*', version: number, comparison: 'strong' | 'weak'): boolean {
  return (
    tags === '*' || tags.some(({ text, isWeak }) => versionOf(text) === version && !(isWeak && comparison === 'strong'))
  );
}
