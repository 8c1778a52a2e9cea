import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { ForbiddenError, UnauthorizedError } from '../errors.js';
import { may } from '../permissions.js';
import type { Request } from './request.js';
import { policyOf } from './route-policy.js';
import { assertTaken } from './unmatched.controller.js';

/** Lets in who may use the route at all; whose resource it is, is asked by the service that knows. */
@Injectable()
export class AuthorizationGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    const { user, refusal } = request;
    const policy = policyOf(context);
    assertTaken(request);
    if (refusal !== undefined && policy.public?.forgivesToken !== true) throw refusal;
    if (user === undefined) {
      if (policy.public !== undefined) return true;
      throw new UnauthorizedError('Log in first: send an access token as Authorization: Bearer …');
    }
    if (policy.requires !== undefined && !may(user, policy.requires))
      throw new ForbiddenError('Your role does not allow this');
    return true;
  }
}
