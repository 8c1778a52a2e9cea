import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '../config.js';
import { emailKeyOf } from '../email-key.js';
import { DomainError } from '../errors.js';
import { Redis } from '../redis/redis.js';
import { Metrics } from '../telemetry/metrics.js';
import { Limiter } from './limiter.js';
import { networkOf } from './network.js';
import { RateLimited } from './rate-limited.js';
import { isFull, type Place } from './windows.js';

/** Wrong passwords from one address, whatever the email, and for one email, from wherever. */
const PER_ADDRESS_OR_EMAIL = 50;

interface Guesser {
  email: string;
  ip: string | null;
}

/** A guess is judged within that time, or the process that did it is dead: its place is free again then. */
const LONGEST_JUDGED_S = 60;
/** How long somebody waits for others to be judged. */
const PATIENCE_MS = 15_000;
/** About as long as it takes to judge one. */
const PAUSE_MS = 50;

/**
 * Lets so many guesses at passwords go wrong in a window, and no more, however many come at once: each takes a place
 * before the password is hashed, and gives it back when that has been judged. Only what was wrong is counted for the whole
 * window. Who finds the places taken by guesses that are still being judged, on whichever replica, waits for the judgement,
 * so that many right ones at once are all let in.
 */
@Injectable()
export class Guesses {
  private readonly underJudgement: Limiter;

  constructor(
    private readonly limiter: Limiter,
    private readonly config: Config,
    private readonly metrics: Metrics,
    redis: Redis,
  ) {
    this.underJudgement = new Limiter(redis, LONGEST_JUDGED_S);
  }

  /**
   * @param isKnown whether somebody has logged in to this email from this address before; asked only where the email
   *   is being guessed at from all sides, which does not lock its owner out
   * @throws RateLimited
   */
  async login<T>({ email, ip }: Guesser, judge: () => Promise<T>, isKnown: () => Promise<boolean>): Promise<T> {
    const limit = this.config.rateLimit.login;
    const [from, to] = [networkOf(ip ?? ''), fingerprint(email)];
    const places = [
      { key: `login:${from}:${to}`, limit },
      { key: `login:${from}`, limit: Math.max(limit, PER_ADDRESS_OR_EMAIL) },
    ];
    const perEmail = { key: `login:${to}`, limit: Math.max(limit, PER_ADDRESS_OR_EMAIL) };
    return this.judge([...places, perEmail], judge, async (full) => {
      const onlyPerEmail = full.every(({ key }) => key === perEmail.key);
      return onlyPerEmail && (await isKnown()) ? places : undefined;
    });
  }

  /** For who is logged in and says their password once more. @throws RateLimited */
  async ofUser<T>(userId: string, judge: () => Promise<T>): Promise<T> {
    return this.judge([{ key: `password:${userId}`, limit: this.config.rateLimit.login }], judge);
  }

  private async judge<T>(
    places: readonly Place[],
    judge: () => Promise<T>,
    otherwise: (full: readonly Place[]) => Promise<readonly Place[] | undefined> = () => Promise.resolve(undefined),
  ): Promise<T> {
    if (this.config.rateLimit.login === 0) return judge();
    for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(PAUSE_MS * (0.5 + Math.random()))) {
      const taken = await this.underJudgement.take(places);
      // Not before: what is found wrong meanwhile is counted before it gives its place back, and so at least once here.
      const wrong = await this.limiter.look(places.map(wrongOf));
      const isRoom = taken.standings.every(({ used, place }, at) => used + (wrong[at]?.used ?? 0) <= place.limit);
      if (taken.taken && isRoom) return this.run(places, judge, () => this.underJudgement.giveBack(taken));
      await this.underJudgement.giveBack(taken);

      const spent = wrong.filter(isFull);
      if (spent.length === 0 && performance.now() < deadline) continue;
      const full = spent.length > 0 ? places.filter((_, at) => wrong[at] && isFull(wrong[at])) : places;
      const others = await otherwise(full);
      if (others !== undefined) return this.judge(others, judge);
      this.metrics.countRefusal('login');
      const limiter = spent.length > 0 ? this.limiter : this.underJudgement;
      throw new RateLimited(limiter.retryAfter(spent.length > 0 ? spent : taken.standings), full[0]?.limit);
    }
  }

  private async run<T>(places: readonly Place[], judge: () => Promise<T>, giveBack: () => Promise<void>): Promise<T> {
    try {
      return await judge();
    } catch (error) {
      if (error instanceof DomainError && error.code === 'INVALID_CREDENTIALS') {
        await Promise.all(places.map((place) => this.limiter.take([wrongOf(place)])));
      }
      throw error;
    } finally {
      await giveBack();
    }
  }
}

const wrongOf = ({ key, limit }: Place): Place => ({ key: `${key}:wrong`, limit });

/** Two spellings of one address are one; and nobody reads in Redis who has been trying to log in. */
function fingerprint(email: string): string {
  return hash('sha256', emailKeyOf(email), 'base64url').slice(0, 22);
}
