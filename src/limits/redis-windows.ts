import type { Client, Redis } from '../redis/redis.js';
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
local clock = time[1] * 1000000 + time[2]
local window = tonumber(ARGV[1])
local lifetime = math.ceil(window / 1000)
local answer = {}

local function timeAt(key, index)
  return tonumber(redis.call('LINDEX', key, index) or nil)
end

local function take(first, last, limitOf, isLook)
  local now = clock
  local newest, oldest, used = {}, {}, {}
  for i = first, last do
    newest[i] = timeAt(KEYS[i], -1)
    if newest[i] and newest[i] > now + window then
      redis.call('DEL', KEYS[i])
      newest[i] = nil
    elseif newest[i] and newest[i] > now then now = newest[i] end
  end
  local taken = isLook and 0 or 1
  for i = first, last do
    oldest[i] = newest[i] and timeAt(KEYS[i], 0)
    while oldest[i] and oldest[i] <= now - window do
      redis.call('LPOP', KEYS[i])
      oldest[i] = timeAt(KEYS[i], 0)
    end
    used[i] = oldest[i] and redis.call('LLEN', KEYS[i]) or 0
    if used[i] >= limitOf(i) then taken = 0 end
  end
  answer[#answer + 1] = taken
  answer[#answer + 1] = now
  for i = first, last do
    if taken == 1 then
      redis.call('RPUSH', KEYS[i], string.format('%.0f', now))
      redis.call('PEXPIRE', KEYS[i], lifetime)
      used[i] = used[i] + 1
    end
    -- Where a limit was lowered more than one has to go first.
    local place = oldest[i]
    if used[i] > limitOf(i) then place = timeAt(KEYS[i], used[i] - limitOf(i)) end
    answer[#answer + 1] = used[i]
    answer[#answer + 1] = (place or now) + window - now
  end
end

local key, argument = 1, 2
while ARGV[argument] do
  local count = tonumber(ARGV[argument])
  local isLook = count < 0
  count = math.abs(count)
  local first, before = key, argument
  take(first, first + count - 1, function(i) return tonumber(ARGV[before + 1 + i - first]) end, isLook)
  key = key + count
  argument = argument + 1 + count
end
return answer
`;

interface WithTake {
  stoaTake(keyCount: number, ...keysAndArguments: (string | number)[]): Promise<number[]>;
}

/** So many takes go to Redis in one script, without waiting for more: it works on them while the others come. */
const MOST_AT_ONCE = 16;

interface Waiting {
  places: readonly Place[];
  isLook: boolean;
  resolve: (verdict: Verdict | undefined) => void;
}

const redisKey = ({ key }: Place): string => `stoa:limit:${key}`;

/** The windows in Redis. What one turn of the event loop brings goes there together: a command costs more than a take. */
export class RedisWindows {
  private waiting: Waiting[] = [];

  /** @param window in microseconds */
  constructor(
    private readonly redis: Redis,
    private readonly window: number,
  ) {}

  /** Takes one place in every window, or none in any; `undefined` where Redis does not answer, which it may have done. */
  take<P extends Place>(places: readonly P[]): Promise<Verdict<P> | undefined> {
    return this.ask(places, false);
  }

  /** What `take` would say where it takes none. */
  look<P extends Place>(places: readonly P[]): Promise<Verdict<P> | undefined> {
    return this.ask(places, true);
  }

  private ask<P extends Place>(places: readonly P[], isLook: boolean): Promise<Verdict<P> | undefined> {
    return new Promise((resolve) => {
      const count = this.waiting.push({ places, isLook, resolve: resolve as Waiting['resolve'] });
      if (count === 1) setImmediate(() => void this.send());
      if (count === MOST_AT_ONCE) void this.send();
    });
  }

  async giveBack(places: readonly Place[], at: number): Promise<void> {
    await this.redis.ask<unknown>(
      (client) => Promise.all(places.map((place) => client.lrem(redisKey(place), -1, at))),
      () => undefined,
    );
  }

  private async send(): Promise<void> {
    const takes = this.waiting;
    this.waiting = [];
    if (takes.length === 0) return;
    const numbers = await this.redis.ask<number[] | undefined>(
      (client) => this.run(client, takes),
      () => undefined,
    );
    let next = 0;
    const number = (): number => numbers?.[next++] ?? 0;
    for (const { places, resolve } of takes) {
      if (numbers === undefined) {
        resolve(undefined);
        continue;
      }
      const [taken, at] = [number() === 1, number()];
      resolve({ taken, at, standings: places.map((place) => ({ place, used: number(), freeIn: number() })) });
    }
  }

  private run(client: Client, takes: readonly Waiting[]): Promise<number[]> {
    if (!('stoaTake' in client)) client.defineCommand('stoaTake', { lua: TAKE });
    const places = takes.flatMap((take) => take.places);
    return (client as unknown as WithTake).stoaTake(
      places.length,
      ...places.map(redisKey),
      this.window,
      // A number below zero takes nothing, and only looks.
      ...takes.flatMap((each) => [
        each.isLook ? -each.places.length : each.places.length,
        ...each.places.map(({ limit }) => limit),
      ]),
    );
  }
}
