import { DomainError, UnavailableError } from '../errors.js';
import { type Line, OVERLOADED } from './pool.js';
import { isLockTimeout, isUnavailable } from './postgres-errors.js';
import type { UnitOfWork } from './unit-of-work.js';

const MOST_MEMBERS = 100;
/** A group that has to wait longer for a row is dissolved, also one of one: whoever does not want that row goes on. */
const LOCK_TIMEOUT = `SET LOCAL lock_timeout = '1s'`;

interface Member<Wish, Outcome> {
  wish: Wish;
  since: number;
  resolve: (outcome: Outcome) => void;
  reject: (error: unknown) => void;
}

/** What `decide` makes, or the error that it throws. */
export function outcomeOf<T>(decide: () => T): T | Error {
  try {
    return decide();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

/**
 * Does in one transaction what many ask for at the same time: it costs hardly more statements than one of them alone,
 * locks each row that several want once, and waits for the disk once. Each member has its own outcome: who is refused
 * does not touch the others, and where one makes the transaction itself fail, each is tried again alone.
 */
export class GroupCommit<Wish, Outcome> implements Line {
  private readonly queue: Member<Wish, Outcome>[] = [];
  private performing = 0;
  /** Those whose commit has been sent, and when its answer is there. */
  private readonly committing = new Map<readonly Member<Wish, Outcome>[], Promise<void>>();

  /**
   * @param perform does all of it in the running unit of work, and answers with an outcome for each in their order:
   *   an Error for whom it refuses, of whose wish it has written nothing. Where it throws, nothing has been done
   * @param atOnce how many groups may be performing: one, where two would often want the same rows and wait for each other.
   *   As many more may be committing: those have all that they want, and keep their rows for no longer than the disk takes
   */
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly perform: (wishes: readonly Wish[]) => Promise<(Outcome | Error)[]>,
    private readonly atOnce = 1,
  ) {
    unitOfWork.lineUp(this);
  }

  get longestWait(): number {
    const [first] = this.queue;
    return first === undefined ? 0 : performance.now() - first.since;
  }

  dismiss(milliseconds: number): void {
    const before = performance.now() - milliseconds;
    while (this.queue[0] !== undefined && this.queue[0].since <= before)
      this.queue.shift()?.reject(new UnavailableError(OVERLOADED));
  }

  /** Resolves once it is committed; inside a unit of work, once it is done as a part of that. */
  of(wish: Wish): Promise<Outcome> {
    if (this.unitOfWork.isRunning) return this.alone(wish);
    return new Promise((resolve, reject) => {
      this.queue.push({ wish, since: performance.now(), resolve, reject });
      // All that this turn of the event loop brings can still join.
      if (this.queue.length === 1)
        setImmediate(() => {
          this.send();
        });
    });
  }

  private send(): void {
    const isFull = this.performing >= this.atOnce || this.performing + this.committing.size >= 2 * this.atOnce;
    if (isFull || this.queue.length === 0) return;
    this.performing++;
    const members = this.queue.splice(0, MOST_MEMBERS);
    let onPerformed: () => void = () => undefined;
    // By way of a promise, as the next group must not begin inside of this one's unit of work.
    const performed = new Promise<void>((resolve) => (onPerformed = resolve));
    const ended = this.settle(members, onPerformed).finally(onPerformed);
    void performed.then(() => {
      this.performing--;
      this.committing.set(members, ended);
      this.send();
      void ended.then(() => {
        this.committing.delete(members);
        this.send();
      });
    });
  }

  private async settle(members: Member<Wish, Outcome>[], onPerformed: () => void): Promise<void> {
    // An object, because what a closure writes is not seen by the compiler.
    const progress = { isPerformed: false };
    try {
      const outcomes = await this.unitOfWork.run(
        async () => {
          progress.isPerformed = false;
          const performed = await this.perform(members.map(({ wish }) => wish));
          // What has failed until now undoes the group, which can be dissolved; what fails from here on is the commit.
          await this.unitOfWork.settled();
          progress.isPerformed = true;
          onPerformed();
          return performed;
        },
        (query) => query({ text: LOCK_TIMEOUT }),
      );
      for (const [index, { resolve, reject }] of members.entries()) {
        const outcome = outcomes[index] as Outcome | Error;
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      }
    } catch (error) {
      // Once the commit has been sent nobody knows what became of it, and nothing may be done again.
      const isUndone = !progress.isPerformed;
      // Where a commit takes so long the row is most likely theirs: each alone would wait for that disk once more. Who has
      // been committing already, and has to begin again, waits for nobody: others may be waiting for it.
      if (isUndone && isLockTimeout(error) && this.committing.size > 0 && !this.committing.has(members)) {
        await Promise.all(this.committing.values());
        return this.settle(members, onPerformed);
      }
      const isOfOneMember = members.length > 1 && !isUnavailable(error);
      for (const { wish, resolve, reject } of members) {
        if (isUndone && (isLockTimeout(error) || isOfOneMember))
          void this.unitOfWork.run(() => this.alone(wish)).then(resolve, reject);
        else reject(error);
      }
    }
  }

  private async alone(wish: Wish): Promise<Outcome> {
    const [outcome] = await this.perform([wish]);
    await this.unitOfWork.settled();
    if (outcome instanceof Error) throw outcome;
    return outcome as Outcome;
  }
}
