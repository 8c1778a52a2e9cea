import { type ExecutionContext, Injectable } from '@nestjs/common';
import { AuthGuard } from '@nestjs/passport';
import { UnauthorizedError } from '../errors.js';
import type { Request } from './request.js';
import { policyOf } from './route-policy.js';

/**
 * Finds out who sends a request, if anyone. Whether that is enough is decided later: first the request has to be
 * counted, and one with a bad token counts against its address.
 */
@Injectable()
export class AuthenticationGuard extends AuthGuard('bearer') {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<Request>();
    if (request.headers.authorization === undefined) return true;
    if (policyOf(context).public?.ignoresToken === true) return true;
    return (await super.canActivate(context)) as boolean;
  }

  override handleRequest<T>(error: unknown, user: T, _info: unknown, context: ExecutionContext): T {
    // Only what is wrong with the token is held back until the request has been counted; a database that is away is not.
    if (error && !(error instanceof UnauthorizedError)) throw error as Error;
    if (user) return user;
    const request = context.switchToHttp().getRequest<Request>();
    request.refusal = error instanceof UnauthorizedError ? error : new UnauthorizedError('This is not a token of ours');
    return undefined as T;
  }
}
