import type { ExecutionContext, Type } from '@nestjs/common';
import type { Permission } from '../permissions.js';
import type { Purpose } from './request-limits.js';

/** What a route's decorators say of it, and what its handler takes. */
export interface RoutePolicy {
  /** It needs no login. */
  readonly public?: PublicOptions;
  /** What its callers must be permitted on what is not their own. */
  readonly requires?: Permission;
  /** Its answer goes out as the handler made it. */
  readonly isBare?: boolean;
  /** Its answers to who is not logged in may be kept by any cache. */
  readonly isCacheable?: boolean;
  /** Which limit it counts against, beside that for all requests. */
  readonly limitedBy?: Purpose;
  /** Whose idempotency keys it takes, although nobody is logged in. */
  readonly keyedBy?: EmailOfBody;
  /** Which version took its place. */
  readonly succeeded?: Succeeded;
  /** What the ETag of its answer says. */
  readonly tagOf?: TagOf<unknown>;
  /** Its handler commits together with others. */
  readonly sharesTransaction?: boolean;
  /** It counts against no limit: `@SkipThrottle({ requests: true })`. */
  readonly isUncounted: boolean;
  readonly readsQuery: boolean;
  readonly readsBody: boolean;
}

export interface PublicOptions {
  /** A token that comes with it is not even looked at. */
  ignoresToken: boolean;
  /** A token that is no good is as good as none. */
  forgivesToken: boolean;
}

/** By which version, and since when. */
export interface Succeeded {
  by: string;
  since: Date;
}

/** The tag of what a handler returns, without the quotes. */
export type TagOf<T> = (view: T) => string;

export type EmailOfBody = (body: Record<string, unknown>) => unknown;

type Said = Omit<RoutePolicy, 'isUncounted' | 'readsQuery' | 'readsBody'>;

const SAID = 'stoa:route';
/** What `@SkipThrottle({ requests: true })` leaves behind; its package does not export the name. */
const UNCOUNTED = 'THROTTLER:SKIPrequests';
/** Where Nest keeps what a handler's parameters are filled from, and the numbers that stand for body and query string. */
const ROUTE_ARGUMENTS = '__routeArguments__';
const BODY = '3:';
const QUERY = '4:';

/** A decorator that says this of a handler, or of all in a controller. */
export const says =
  (part: Said) =>
  (target: object, _handler?: string | symbol, descriptor?: PropertyDescriptor): void => {
    const on = (descriptor?.value ?? target) as object;
    Reflect.defineMetadata(SAID, { ...(Reflect.getOwnMetadata(SAID, on) as Said | undefined), ...part }, on);
  };

type Handler = (...parameters: never[]) => unknown;

/** Each is asked for at every request, by each guard and interceptor: to read what was said takes several times longer. */
const known = new WeakMap<Type, Map<Handler, RoutePolicy>>();

export function policyOf(context: ExecutionContext): RoutePolicy {
  return policyOfRoute(context.getClass(), context.getHandler() as Handler);
}

/** What a handler's own decorators say comes before what its controller's do. */
export function policyOfRoute(controller: Type, handler: Handler): RoutePolicy {
  const ofController = known.get(controller) ?? new Map<Handler, RoutePolicy>();
  const policy = ofController.get(handler) ?? read(controller, handler);
  if (!ofController.has(handler)) known.set(controller, ofController.set(handler, policy));
  return policy;
}

function read(controller: Type, handler: Handler): RoutePolicy {
  const taken = Object.keys((Reflect.getMetadata(ROUTE_ARGUMENTS, controller, handler.name) ?? {}) as object);
  const both = (key: string): unknown[] =>
    [handler, controller].map((each) => Reflect.getMetadata(key, each) as unknown);
  const [ofHandler, ofController] = both(SAID) as (Said | undefined)[];
  return {
    ...ofController,
    ...ofHandler,
    isUncounted: both(UNCOUNTED).find((is) => is !== undefined) === true,
    readsQuery: taken.some((key) => key.startsWith(QUERY)),
    readsBody: taken.some((key) => key.startsWith(BODY)),
  };
}
