import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ForbiddenError, UnauthorizedError } from '../errors.js';
import { may, type Permission } from '../permissions.js';
import { PUBLIC, REQUIRES } from './decorators.js';
import type { Request } from './request.js';

/** Lets in who may use the route at all; whose resource it is, is asked by the service that knows. */
@Injectable()
export class AuthorizationGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const { user, refusal } = context.switchToHttp().getRequest<Request>();
    const targets = [context.getHandler(), context.getClass()];
    if (refusal !== undefined) throw refusal;
    if (user === undefined) {
      if (this.reflector.getAllAndOverride<unknown>(PUBLIC, targets) !== undefined) return true;
      throw new UnauthorizedError('Log in first: send an access token as Authorization: Bearer …');
    }
    const required = this.reflector.getAllAndOverride<Permission | undefined>(REQUIRES, targets);
    if (required !== undefined && !may(user, required)) throw new ForbiddenError('Your role does not allow this');
    return true;
  }
}
