import type { INestApplication, Type } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { type Permission, PERMISSIONS } from '../../permissions.js';
import { ANSWERS, type RouteAnswers } from '../openapi.js';
import { policyOfRoute } from '../route-policy.js';

/** What the controller's decorators say of a route: the same that the guards go by. */
export interface Route {
  handler: string;
  answers: RouteAnswers | undefined;
  access: 'login' | 'anyone' | 'token ignored';
  /** It takes an `Idempotency-Key` if it is a POST. */
  takesKey: boolean;
  /** It counts against no limit. */
  isUncounted: boolean;
  /** The roles that may call it at all; undefined where the resource decides. */
  roles: string[] | undefined;
}

export const keyOf = (controller: string, handler: string): string => `${controller}.${handler}`;

/** Every route by its controller and handler. */
export function routesOf(app: INestApplication): Map<string, Route> {
  const routes = new Map<string, Route>();
  for (const module of app.get(ModulesContainer).values()) {
    for (const { metatype } of module.controllers.values()) {
      const controller = metatype as Type;
      for (const handler of handlersOf(controller)) {
        routes.set(keyOf(controller.name, handler), routeOf(controller, handler));
      }
    }
  }
  return routes;
}

function handlersOf(controller: Type): string[] {
  const prototype = controller.prototype as object;
  const inherited = Object.getPrototypeOf(prototype) as object;
  const names = [...Object.getOwnPropertyNames(inherited), ...Object.getOwnPropertyNames(prototype)];
  return [...new Set(names)].filter((name) => name !== 'constructor' && !(name in Object.prototype));
}

function routeOf(controller: Type, handler: string): Route {
  const prototype = controller.prototype as Record<string, () => unknown>;
  const method = prototype[handler] ?? (() => undefined);
  const metadata = (key: string): unknown => Reflect.getMetadata(key, method) ?? Reflect.getMetadata(key, controller);

  const answers = metadata(ANSWERS) as RouteAnswers | undefined;
  const { public: isPublic, requires, keyedBy, isUncounted } = policyOfRoute(controller, method);
  const bodies = (Reflect.getMetadata('design:paramtypes', prototype, handler) ?? []) as unknown[];
  for (const type of [answers?.view, ...bodies]) restoreOrder(type);
  return {
    handler,
    answers,
    access: isPublic === undefined ? 'login' : isPublic.ignoresToken ? 'token ignored' : 'anyone',
    takesKey: isPublic === undefined || keyedBy !== undefined,
    isUncounted,
    roles: requires && rolesWith(requires),
  };
}

const rolesWith = (permission: Permission): string[] =>
  Object.entries(PERMISSIONS).flatMap(([role, permissions]) => (permissions.includes(permission) ? [role] : []));

const DECORATED = 'swagger/apiModelPropertiesArray';
interface Described {
  _OPENAPI_METADATA_FACTORY?: () => Record<string, { type?: unknown }>;
}

/** Swagger shows decorated properties first: here they get back the order in which their class declares them. */
function restoreOrder(type: unknown, done = new Set<unknown>()): void {
  if (typeof type !== 'function' || done.has(type)) return;
  done.add(type);
  const declared = (type as Described)._OPENAPI_METADATA_FACTORY?.() ?? {};
  const prototype = type.prototype as object | undefined;
  if (prototype === undefined || Object.keys(declared).length === 0) return;
  const names = Object.keys(declared).map((name) => `:${name}`);
  const decorated = (Reflect.getMetadata(DECORATED, prototype) ?? []) as string[];
  const others = decorated.filter((name) => !names.includes(name));
  Reflect.defineMetadata(DECORATED, [...others, ...names], prototype);
  for (const { type: inner } of Object.values(declared)) {
    // `() => Item`, or `() => [Item]` for an array.
    if (typeof inner === 'function' && inner.prototype === undefined) {
      restoreOrder([(inner as () => unknown)()].flat()[0], done);
    }
  }
}
