import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '../config.js';
import { emailKeyOf } from '../email-key.js';
import { DomainError } from '../errors.js';
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

/** How long somebody waits for others to be judged: only a process that died in the middle takes longer. */
const PATIENCE_MS = 15_000;
/** About as long as it takes to judge one. */
const PAUSE_MS = 50;

/**
 * Lets so many guesses at passwords go wrong in a window, and no more, however many come at once: each takes its place
 * before the password is hashed, and gives it back unless it was wrong. Who finds the places taken by guesses that are
 * still being judged, on whichever replica, waits for the judgement, so that many right ones at once are all let in.
 */
@Injectable()
export class Guesses {
  constructor(
    private readonly limiter: Limiter,
    private readonly config: Config,
    private readonly metrics: Metrics,
  ) {}

  /**
   * @param isKnown whether somebody has logged in to this email from this address before; asked only where the email
   *   is being guessed at from all sides, which does not lock its owner out
   * @throws RateLimited
   */
  async login<T>({ email, ip }: Guesser, judge: () => Promise<T>, isKnown: () => Promise<boolean>): Promise<T> {
    const limit = this.config.rateLimit.login;
    const [from, to] = [networkOf(ip ?? ''), fingerprint(email)];
    const places = [
      { key: `{login}:${from}:${to}`, limit },
      { key: `{login}:${from}`, limit: Math.max(limit, PER_ADDRESS_OR_EMAIL) },
    ];
    const perEmail = { key: `{login}:${to}`, limit: Math.max(limit, PER_ADDRESS_OR_EMAIL) };
    return this.judge([...places, perEmail], judge, async (full) => {
      const onlyPerEmail = full.every(({ key }) => key === perEmail.key);
      return onlyPerEmail && (await isKnown()) ? places : undefined;
    });
  }

  /** For who is logged in and says their password once more. @throws RateLimited */
  async ofUser<T>(userId: string, judge: () => Promise<T>): Promise<T> {
    return this.judge([{ key: `{password}:${userId}`, limit: this.config.rateLimit.login }], judge);
  }

  private async judge<T>(
    places: readonly Place[],
    judge: () => Promise<T>,
    otherwise: (full: readonly Place[]) => Promise<readonly Place[] | undefined> = () => Promise.resolve(undefined),
  ): Promise<T> {
    if (this.config.rateLimit.login === 0) return judge();
    for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(PAUSE_MS * (0.5 + Math.random()))) {
      const taken = await this.limiter.take(places);
      if (taken.taken) return this.run(places, judge, () => this.limiter.giveBack(taken));

      const full = taken.standings.filter(isFull).map(({ place }) => place);
      if (performance.now() < deadline && !(await this.areJudged(full))) continue;
      const others = await otherwise(full);
      if (others !== undefined) return this.judge(others, judge);
      this.metrics.countRefusal('login');
      throw new RateLimited(this.limiter.retryAfter(taken), full[0]?.limit);
    }
  }

  private async run<T>(places: readonly Place[], judge: () => Promise<T>, giveBack: () => Promise<void>): Promise<T> {
    try {
      const result = await judge();
      await giveBack();
      return result;
    } catch (error) {
      if (error instanceof DomainError && error.code === 'INVALID_CREDENTIALS') await this.noteWrong(places);
      else await giveBack();
      throw error;
    }
  }

  /** One more may have gone wrong than there are places: the first of them was noted a little after it took its own. */
  private async noteWrong(places: readonly Place[]): Promise<void> {
    await this.limiter.take(places.map(({ key, limit }) => ({ key: wrongOf(key), limit: limit + 1 })));
  }

  /** Whether as many have been found wrong as there are places. */
  private async areJudged(full: readonly Place[]): Promise<boolean> {
    // Where there is no place at all, none is taken.
    const { standings } = await this.limiter.take(full.map(({ key }) => ({ key: wrongOf(key), limit: 0 })));
    return standings.some(({ used }, at) => used >= (full[at]?.limit ?? 0));
  }
}

const wrongOf = (key: string): string => `${key}:wrong`;

/** Two spellings of one address are one; and nobody reads in Redis who has been trying to log in. */
function fingerprint(email: string): string {
  return hash('sha256', emailKeyOf(email), 'base64url').slice(0, 22);
}
