import type { NestInterceptor } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { InterceptorsConsumer } from '@nestjs/core/interceptors/interceptors-consumer.js';
import { from, isObservable, lastValueFrom } from 'rxjs';

type Intercept = InterceptorsConsumer['intercept'];

/**
 * Has Nest run interceptors around handlers for what they do here: each is called once, and answers once. Nest's own way
 * is made for streams that others may begin, share and leave, which takes a dozen observables for each request and
 * listeners for a client that goes away, and was a third of the CPU time of a `GET`. What interceptors are given and
 * may do stays as it is, but for a handler of server-sent events, of which only the last would be sent.
 */
export function interceptOnce(): void {
  const intercept: Intercept = (interceptors, args, { constructor }, callback, next, type) => {
    const context = new ExecutionContextHost(args, constructor as never, callback);
    context.setType(type ?? 'http');
    const run = async (index: number): Promise<unknown> => {
      const interceptor: NestInterceptor | undefined = interceptors[index];
      if (interceptor !== undefined) {
        const answer = interceptor.intercept(context, { handle: () => from(run(index + 1)) });
        return lastValueFrom(isObservable(answer) ? answer : await answer);
      }
      const result = await next();
      return isObservable(result) ? lastValueFrom(result) : result;
    };
    return run(0);
  };
  InterceptorsConsumer.prototype.intercept = intercept;
}
