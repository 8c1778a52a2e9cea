import { hash, verify } from '@node-rs/argon2';
import { Injectable } from '@nestjs/common';

/** OWASP's first parameters for argon2id: 19 MiB, two passes, one lane. */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Hashing takes a thread of the pool that files and name look-ups need as well: leave them some. */
const AT_ONCE = 2;

/** Hashes and checks passwords, off the event loop and a few at a time. */
@Injectable()
export class Passwords {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private decoy: Promise<string> | undefined;

  hash(password: string): Promise<string> {
    return this.inTurn(() => hash(password, ARGON2ID));
  }

  /** Takes the same time where there is no hash to compare with, so that nobody can tell. */
  async verify(passwordHash: string | null | undefined, password: string): Promise<boolean> {
    this.decoy ??= this.hash('no password of anybody');
    const against = passwordHash ?? (await this.decoy);
    const matches = await this.inTurn(() => verify(against, password));
    return matches && typeof passwordHash === 'string';
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= AT_ONCE) await new Promise<void>((go) => this.waiting.push(go));
    else this.running++;
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.running--;
      else next();
    }
  }
}
