import { All, Controller, Req, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { DomainError, type ErrorCode, NotFoundError } from '../errors.js';
import { Public } from './decorators.js';
import type { Request } from './request.js';

export class MethodNotAllowed extends DomainError {
  readonly code: ErrorCode = 'METHOD_NOT_ALLOWED';
  constructor(readonly allowed: readonly string[]) {
    super(`This path takes ${allowed.join(', ')}`);
  }
}

/** Every route's path and methods, to tell a wrong method from a wrong path. */
class RouteTable {
  private readonly routes: { url: string; pattern: RegExp; methods: string[] }[] = [];

  watch(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', ({ url, method }) => {
      if (url.includes('*')) return;
      const segments = url
        .split('/')
        .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll('.', '\\.')));
      this.routes.push({ url, pattern: new RegExp(`^${segments.join('/')}$`), methods: [method].flat() });
    });
  }

  methodsOf(path: string): string[] {
    const matching = this.routes.filter(({ pattern }) => pattern.test(path));
    // `/users/me` is no user whose id is `me`.
    const own = matching.filter(({ url }) => url === path);
    const methods = (own.length > 0 ? own : matching).flatMap((route) => route.methods);
    return [...new Set(methods)].sort();
  }
}

export const routeTable = new RouteTable();

/** Why a request meets no route: its path is none of ours, or takes other methods. */
export function unmatched(request: Request): DomainError {
  const allowed = routeTable.methodsOf(request.url.split('?', 1)[0] ?? '');
  return allowed.length > 0 ? new MethodNotAllowed(allowed) : new NotFoundError('No such route');
}

/** What no route takes. As a route of its own, so that it passes the same guards and counts against the same limits. */
@ApiExcludeController()
@Public({ ignoresToken: true })
@Controller({ version: VERSION_NEUTRAL })
export class UnmatchedController {
  @All('*')
  refuse(@Req() request: Request): never {
    throw unmatched(request);
  }
}
