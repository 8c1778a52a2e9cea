import { AsyncLocalStorage } from 'node:async_hooks';

/** What everything that happens for one request may want to know about it. */
export interface RequestContext {
  requestId: string;
}

export const requestContext = new AsyncLocalStorage<RequestContext>();
