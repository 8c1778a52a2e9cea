import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Reply, Request } from './request.js';
import { policyOf } from './route-policy.js';
import { announceSuccessor } from './versions.js';

/** What every answer of a route says, whoever asks and whatever comes of it: that it has a successor. */
@Injectable()
export class RouteGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const { succeeded } = policyOf(context);
    if (succeeded !== undefined) announceSuccessor(succeeded, request, http.getResponse<Reply>());
    return true;
  }
}
