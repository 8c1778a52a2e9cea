import type { KeyvStoreAdapter } from 'keyv';
import type { Redis } from '../redis/redis.js';

/** The second tier, which all replicas share. Where Redis is away it is empty, and never in anybody's way. */
export function redisStore(redis: Redis): KeyvStoreAdapter {
  return {
    opts: {},
    on: function () {
      return this;
    },
    // What the server answers is Keyv's own text, which Keyv reads.
    get: (key) =>
      redis.ask<never>(
        (client) => client.get(key) as Promise<never>,
        () => undefined as never,
      ),
    set: async (key: string, value: string, milliseconds?: number) =>
      redis.ask<unknown>(
        (client) => client.set(key, value, 'PX', Math.ceil(milliseconds ?? 1)),
        () => undefined,
      ),
    delete: (key) =>
      redis.ask(
        async (client) => (await client.del(key)) > 0,
        () => false,
      ),
    clear: () => Promise.resolve(),
  };
}
