import { Global, Module } from '@nestjs/common';
import { Config } from '../config.js';
import { Redis } from '../redis/redis.js';
import { Guesses } from './guesses.js';
import { Limiter } from './limiter.js';

const limiter = {
  provide: Limiter,
  useFactory: (redis: Redis, { rateLimit }: Config) => new Limiter(redis, rateLimit.window),
  inject: [Redis, Config],
};

/** One count for what services limit by themselves and for the requests that `http/` limits. */
@Global()
@Module({ providers: [limiter, Guesses], exports: [limiter, Guesses] })
export class LimitsModule {}
