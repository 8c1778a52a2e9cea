import { ForbiddenError } from './errors.js';

export const ROLES = ['user', 'moderator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export type Permission = 'read' | 'write' | 'delete' | 'admin';

/** What a role may do with things that are not its own. With their own, everyone may do what the route offers. */
export const PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  user: [],
  moderator: ['read', 'write', 'delete'],
  admin: ['read', 'write', 'delete', 'admin'],
};

/** Who sends a request, as their access token says. */
export interface Principal {
  id: string;
  email: string;
  role: Role;
  sessionId: string;
}

export function may(principal: { role: Role } | undefined, permission: Permission): boolean {
  return principal !== undefined && PERMISSIONS[principal.role].includes(permission);
}

/** @throws ForbiddenError unless the resource is the principal's own, or their role permits this on everybody's. */
export function assertMay(principal: Principal, permission: Permission, ownerId: string | null): void {
  if (principal.id !== ownerId && !may(principal, permission)) {
    throw new ForbiddenError('You may not do this with what belongs to somebody else');
  }
}
