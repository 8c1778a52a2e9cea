import { All, Controller, Req, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { DomainError, type ErrorCode, MalformedError, NotFoundError } from '../errors.js';
import { Public } from './decorators.js';
import { pathOf, type Request } from './request.js';

export class MethodNotAllowed extends DomainError {
  readonly code: ErrorCode = 'METHOD_NOT_ALLOWED';
  constructor(readonly allowed: readonly string[]) {
    super(`This path takes ${allowed.join(', ')}`);
  }
}

/** Every route's path and methods, to tell a wrong method from a wrong path. */
class RouteTable {
  private readonly routes: { url: string; pattern: RegExp; methods: string[] }[] = [];
  /** Paths that are given letter by letter: `/users/me` is no user whose id is `me`. */
  private readonly fixed = new Map<string, string[]>();

  watch(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', ({ url, method }) => {
      if (url.includes('*')) return;
      if (!url.includes(':')) this.fixed.set(url, [...(this.fixed.get(url) ?? []), method].flat());
      const segments = url
        .split('/')
        .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll('.', '\\.')));
      this.routes.push({ url, pattern: new RegExp(`^${segments.join('/')}$`), methods: [method].flat() });
    });
  }

  methodsOf(path: string): string[] {
    const matching = this.routes.filter(({ pattern }) => pattern.test(path)).flatMap((route) => route.methods);
    return [...new Set(this.fixed.get(path) ?? matching)].sort();
  }

  /** Whether the method is none of those that a fixed path takes. */
  isRefused(path: string, method: string): boolean {
    return this.fixed.get(path)?.includes(method) === false;
  }
}

export const routeTable = new RouteTable();

/** Matches none of the routes. */
const UNREADABLE = '/%25';

/** The router answers a path that it can not decode by itself: none of the guards would see it. So it is led past it. */
export function readableUrlOf({ url = '/' }: { url?: string }): string {
  if (!url.includes('%')) return url;
  try {
    decodeURIComponent(url.split(/[?#]/, 1)[0] ?? '');
    return url;
  } catch {
    return UNREADABLE;
  }
}

/** The router takes `PUT /users/me` for one of `/users/:id`, which it is not. @throws MethodNotAllowed */
export function assertTaken(request: Request): void {
  if (routeTable.isRefused(pathOf(request.url), request.method)) throw unmatched(request);
}

/** Why a request meets no route: its path is none of ours, or takes other methods. */
export function unmatched(request: Request): DomainError {
  if (request.url === UNREADABLE && request.originalUrl !== UNREADABLE)
    return new MalformedError('The path can not be decoded');
  const allowed = routeTable.methodsOf(pathOf(request.url));
  return allowed.length > 0 ? new MethodNotAllowed(allowed) : new NotFoundError('No such route');
}

/** What no route takes. As a route of its own, so that it passes the same guards and counts against the same limits. */
@ApiExcludeController()
@Public({ forgivesToken: true })
@Controller({ version: VERSION_NEUTRAL })
export class UnmatchedController {
  @All('*')
  refuse(@Req() request: Request): never {
    throw unmatched(request);
  }
}
