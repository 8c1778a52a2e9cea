import type { Client } from '../redis/redis.js';
import type { Place, Verdict } from './windows.js';

/**
 * A list of times for each key, as in `local-windows.ts`, in microseconds of Redis's own clock: replicas need not agree
 * on the time. Lists of numbers are packed, so that a full window of 1,000 takes about 11 KB; a sorted set takes ten
 * times that. Everything is looked at before anything is taken, and nothing comes in between: a script is atomic.
 *
 * A clock that was set back (another Redis took over) counts on from the newest hit; one that was set back by more
 * than a window begins anew.
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = tonumber(ARGV[1])
for _, key in ipairs(KEYS) do
  local newest = tonumber(redis.call('LINDEX', key, -1) or 0)
  if newest > now + window then redis.call('DEL', key)
  elseif newest > now then now = newest end
end
local used = {}
local taken = 1
for i, key in ipairs(KEYS) do
  local oldest = redis.call('LINDEX', key, 0)
  while oldest and tonumber(oldest) <= now - window do
    redis.call('LPOP', key)
    oldest = redis.call('LINDEX', key, 0)
  end
  used[i] = redis.call('LLEN', key)
  if used[i] >= tonumber(ARGV[1 + i]) then taken = 0 end
end
local answer = { taken, now }
for i, key in ipairs(KEYS) do
  if taken == 1 then
    redis.call('RPUSH', key, string.format('%.0f', now))
    redis.call('PEXPIRE', key, math.ceil(window / 1000))
    used[i] = used[i] + 1
  end
  local first = redis.call('LINDEX', key, math.max(0, used[i] - tonumber(ARGV[1 + i])))
  answer[#answer + 1] = used[i]
  answer[#answer + 1] = (tonumber(first) or now) + window - now
end
return answer
`;

interface WithTake {
  stoaTake(keyCount: number, ...keysAndArguments: (string | number)[]): Promise<number[]>;
}

// The braces keep the keys of one request together where Redis is a cluster.
const redisKey = ({ key }: Place): string => `stoa:limit:${key}`;

/** Takes one place in every window, or none in any. @param window in microseconds */
export async function take<P extends Place>(client: Client, places: readonly P[], window: number): Promise<Verdict<P>> {
  if (!('stoaTake' in client)) client.defineCommand('stoaTake', { lua: TAKE });
  const [taken, at = 0, ...numbers] = await (client as unknown as WithTake).stoaTake(
    places.length,
    ...places.map(redisKey),
    window,
    ...places.map(({ limit }) => limit),
  );
  const standings = places.map((place, index) => ({
    place,
    used: numbers[2 * index] ?? 0,
    freeIn: numbers[2 * index + 1] ?? 0,
  }));
  return { taken: taken === 1, at, standings };
}

export async function giveBack(client: Client, places: readonly Place[], at: number): Promise<void> {
  await Promise.all(places.map((place) => client.lrem(redisKey(place), -1, at)));
}
