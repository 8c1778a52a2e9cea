import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash, verify } from '@node-rs/argon2';
import { Injectable } from '@nestjs/common';
import bcrypt from 'bcrypt';
import { UnavailableError } from '../../errors.js';

/** OWASP's first parameters for argon2id: 19 MiB, two passes, one lane. */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/**
 * A core is left to those who do not log in, or each would wait for a hash at every step; and, of the threads that files and
 * name look-ups need as well, two.
 */
export const HASHES_AT_ONCE = Math.max(1, Math.min(2, availableParallelism() - 1));
/** Some seconds of work for one core. Whoever comes later would wait longer than a client does. */
const LONGEST_QUEUE = 200;
/** Nobody's password is longer: a megabyte is not worth the work of hashing it. */
const LONGEST_CHECKED = 4096;
const LONGEST_PAUSE_MS = 2_000;

const BCRYPT = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;
const ARGON2 =
  /^\$argon2(id|i|d)\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$/;

/** Whether it is a hash that we can check a password against: bcrypt, or argon2 of up to 1 GB. */
export const isPasswordHash = (text: string): boolean => BCRYPT.test(text) || ARGON2.test(text);

/** Hashes and checks passwords, off the event loop and a few at a time. */
@Injectable()
export class Passwords {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private decoy: Promise<string> | undefined;
  /** How long checking an imported hash takes lately. What fails sooner waits, or it would tell who has such a hash. */
  private importedMs = 0;

  /** @throws UnavailableError when too many are waiting already */
  hash(password: string): Promise<string> {
    return this.inTurn(() => hash(password, ARGON2ID));
  }

  /**
   * Takes the same time where there is no hash to compare with, so that nobody can tell.
   *
   * @throws UnavailableError when too many are waiting already
   */
  async verify(passwordHash: string | null | undefined, password: string): Promise<boolean> {
    const isCheckable = typeof passwordHash === 'string' && password.length <= LONGEST_CHECKED;
    const against = isCheckable ? passwordHash : await this.decoyHash();
    const [isRight, ms] = await this.inTurn(async () => {
      const begin = performance.now();
      const isRight = await matches(against, password.slice(0, LONGEST_CHECKED));
      return [isCheckable && isRight, performance.now() - begin];
    });
    // The slowest of late: hashes of any cost may be among them.
    if (!isOurs(against)) this.importedMs = Math.max(ms, 0.9 * this.importedMs + 0.1 * ms);
    if (!isRight && ms < this.importedMs) await sleep(Math.min(this.importedMs, LONGEST_PAUSE_MS) - ms);
    return isRight;
  }

  /** Whether a hash is weaker than those we make, and the password should be hashed anew when it is next at hand. */
  isOutdated(passwordHash: string): boolean {
    const [, variant, memory, time] = ARGON2.exec(passwordHash) ?? [];
    const { memoryCost, timeCost } = ARGON2ID;
    return variant !== 'id' || Number(memory) < memoryCost || Number(memory) * Number(time) < memoryCost * timeCost;
  }

  private decoyHash(): Promise<string> {
    this.decoy ??= this.hash('no password of anybody').catch((error: unknown) => {
      this.decoy = undefined;
      throw error;
    });
    return this.decoy;
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < HASHES_AT_ONCE) this.running++;
    else if (this.waiting.length >= LONGEST_QUEUE) throw new UnavailableError('Too many log in at once, try again');
    else await new Promise<void>((go) => this.waiting.push(go));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.running--;
      else next();
    }
  }
}

/** bcrypt's own limits are the imported hash's: it never saw more than 72 bytes. `$2y$` is what others call `$2b$`. */
function matches(passwordHash: string, password: string): Promise<boolean> {
  return isBcrypt(passwordHash)
    ? bcrypt.compare(password, passwordHash.replace(/^\$2y\$/, '$2b$'))
    : verify(passwordHash, password);
}

const OURS = `$argon2id$v=19$m=${ARGON2ID.memoryCost},t=${ARGON2ID.timeCost},p=${ARGON2ID.parallelism}$`;
/** Whether it takes as long as those that we make. */
const isOurs = (passwordHash: string): boolean => passwordHash.startsWith(OURS);

const isBcrypt = (passwordHash: string): boolean => passwordHash.startsWith('$2');
