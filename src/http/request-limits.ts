import { Injectable } from '@nestjs/common';
import passport from 'passport';
import { Config } from '../config.js';
import { Limiter, type Taken } from '../limits/limiter.js';
import { networkOf } from '../limits/network.js';
import { RateLimited } from '../limits/rate-limited.js';
import { isFull, type Place } from '../limits/windows.js';
import type { Principal } from '../permissions.js';
import { Metrics } from '../telemetry/metrics.js';
import type { Reply, Request } from './request.js';

/** What an address may do only so often, beside everything else it may do. */
export const PURPOSES = ['register', 'refresh', 'forgot'] as const;
export type Purpose = (typeof PURPOSES)[number];
const PER_PURPOSE = 100;

/** What is answered before a guard has seen the request, and must be answered always. */
const EXEMPT = /^\/(health|docs|openapi\.(json|yaml)|metrics)(\/|\?|$)/;

type Policy = Place & { name: 'anonymous' | 'user' | Purpose };

/** Counts requests: by user where one is known, by address where not, and some by what they are for as well. */
@Injectable()
export class RequestLimits {
  constructor(
    private readonly limiter: Limiter,
    private readonly config: Config,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Counts a request once, and tells it where it stands, in both kinds of headers that are in use.
   *
   * @throws RateLimited
   */
  async count(request: Request, reply: Reply, purpose?: Purpose): Promise<void> {
    if (request.isCounted === true) return;
    request.isCounted = true;
    const policies = this.policiesFor(request, purpose).filter(({ limit }) => limit > 0);
    if (policies.length === 0) return;
    const taken = await this.limiter.take(policies);
    this.tell(reply, taken);
    request.taken = taken;
    if (taken.taken) return;
    for (const { place } of taken.standings.filter(isFull)) this.metrics.countRefusal(place.name);
    throw new RateLimited(this.limiter.retryAfter(taken.standings));
  }

  /** Counts what was refused before any guard has seen it: a body too large, a path that is none. @throws RateLimited */
  async countEarly(request: Request, reply: Reply): Promise<void> {
    if (EXEMPT.test(request.url)) return;
    if (request.user === undefined && request.refusal === undefined) request.user = await bearerOf(request);
    await this.count(request, reply);
  }

  /** What is refused as a guess too many was let in before, as a request: that does not count then. */
  async takeBack({ taken }: Request, reply: Reply, { limit, retryAfter }: RateLimited): Promise<void> {
    if (limit === undefined) return;
    reply.headers(headersOf([{ name: 'login', limit, left: 0, reset: retryAfter }], this.limiter.window));
    if (taken?.taken === true) await this.limiter.giveBack(taken);
  }

  private policiesFor(request: Request, purpose: Purpose | undefined): Policy[] {
    const { anonymous, user: perUser, login } = this.config.rateLimit;
    const { user } = request;
    const general: Policy =
      user === undefined
        ? { name: 'anonymous', key: networkOf(request.ip), limit: anonymous }
        : { name: 'user', key: user.id, limit: perUser };
    if (purpose === undefined) return [general];
    const limit = login === 0 ? 0 : PER_PURPOSE;
    return [general, { name: purpose, key: `${networkOf(request.ip)}:${purpose}`, limit }];
  }

  private tell(reply: Reply, { standings }: Taken<Policy>): void {
    const { window } = this.limiter;
    const all = standings.map((standing) => {
      const { name, limit } = standing.place;
      return { name, limit, left: Math.max(0, limit - standing.used), reset: this.limiter.seconds(standing) };
    });
    reply.headers(headersOf(all, window));
  }
}

/** Whose valid token it bears, if any. */
const bearerOf = (request: Request): Promise<Principal | undefined> =>
  new Promise((resolve) => {
    const nobody = () => {
      resolve(undefined);
    };
    const found = (_error: unknown, user?: Principal | false) => {
      resolve(user || undefined);
    };
    if (request.headers.authorization === undefined) nobody();
    else (passport.authenticate('bearer', { session: false }, found) as Handler)(request, undefined, nobody);
  });
type Handler = (request: Request, reply: undefined, next: () => void) => void;

interface State {
  name: string;
  limit: number;
  left: number;
  /** In seconds. */
  reset: number;
}

function headersOf(all: readonly State[], window: number): Record<string, string | number> {
  // The plain headers have room for one: the one that is used up first.
  const tightest = all.reduce((one, other) => (other.left < one.left ? other : one));
  return {
    'RateLimit-Limit': tightest.limit,
    'RateLimit-Remaining': tightest.left,
    'RateLimit-Reset': tightest.reset,
    // https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    'RateLimit-Policy': all.map(({ name, limit }) => `"${name}";q=${limit};w=${window}`).join(', '),
    RateLimit: all.map(({ name, left, reset }) => `"${name}";r=${left};t=${reset}`).join(', '),
  };
}
