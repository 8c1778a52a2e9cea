import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { emailKeyOf } from '../email-key.js';
import { ConflictError, type ErrorCode, MalformedError, ValidationError } from '../errors.js';
import { CursorKeys } from './paging.js';
import { isUnavailable } from './postgres-errors.js';
import { type Query, UnitOfWork } from './unit-of-work.js';

const RETENTION = `interval '24 hours'`;
/** How long a request waits for the one with its key that is still running. */
const WAIT_MS = 5000;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 100;
const CLEANUP_MS = 10 * 60_000;
const CLEANUP_BATCH = 1000;
/** The body of an answer that has been emptied: no JSON is that. */
const FORGOTTEN = '';

export class InvalidIdempotencyKey extends MalformedError {
  override readonly code: ErrorCode = 'INVALID_IDEMPOTENCY_KEY';
  constructor() {
    super('An Idempotency-Key is given once, with 1 to 255 visible ASCII characters');
  }
}

export class IdempotencyKeyReused extends ValidationError {
  override readonly code: ErrorCode = 'IDEMPOTENCY_KEY_REUSED';
  constructor() {
    super('This Idempotency-Key was used for a request with another method, path or body');
  }
}

export class IdempotencyInProgress extends ConflictError {
  override readonly code: ErrorCode = 'IDEMPOTENCY_IN_PROGRESS';
  readonly retryAfter = 1;
  constructor() {
    super('The first request with this Idempotency-Key is still running, try again');
  }
}

/** A request that must have its effect once. The key means something only to whom the scope stands for. */
export interface KeyedRequest {
  scope: string;
  /** What stood for the same before a secret was replaced. */
  formerScopes: readonly string[];
  key: string;
  method: string;
  path: string;
  body: Uint8Array;
}

export class AnswerForgotten extends ConflictError {
  constructor() {
    super('What was answered to this Idempotency-Key has been erased with the person whom it told of');
  }
}

/** What was answered: `body` is JSON, or null where there was none; `location` a path below the version. */
export interface KeyedAnswer {
  status: number;
  location: string | null;
  body: string | null;
  /** The user whom it tells of, where that is not who asked. */
  about: string | null;
}

interface Recorded {
  fingerprint: Buffer;
  answer: KeyedAnswer;
}

/** Somebody else holds the key or has used it: undoes the unit of work, and is told to nobody. */
class Taken extends Error {}

/** A key that goes into a transaction which its request shares with others. */
export class Claim {
  /** Whether somebody else holds the key or has used it. */
  isTaken = false;

  constructor(
    readonly request: KeyedRequest,
    readonly fingerprint: Buffer,
  ) {}

  taken(): Error {
    this.isTaken = true;
    return new Taken();
  }
}

/** A claim, and what is recorded with it of what was done. */
export interface Keyed<T> {
  claim: Claim;
  answerOf(done: T): KeyedAnswer;
}

/**
 * Sees to it that a request with a key has its effect once, on however many replicas it arrives at once. The answer is
 * recorded in the transaction of the effect, so there are both or neither; the primary key has the last word.
 */
@Injectable()
export class IdempotencyKeys implements OnApplicationBootstrap, OnModuleDestroy {
  /** The requests of this process that are being worked on, by scope and key, and what they will have answered. */
  private readonly running = new Map<string, Promise<Recorded | undefined>>();
  private readonly secrets: readonly [KeyObject, ...KeyObject[]];
  private cleaning: NodeJS.Timeout | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly unitOfWork: UnitOfWork,
    { all }: CursorKeys,
  ) {
    const [current, ...former] = all;
    this.secrets = [derived(current), ...former.map(derived)];
  }

  static scopeOfUser(id: string): string {
    return `user:${id}`;
  }

  /** For somebody who is not a user yet; that of the current secret first. */
  scopesOfEmail(email: string): string[] {
    return this.secrets.map((secret) => `email:${digest(secret, emailKeyOf(email)).toString('base64url')}`);
  }

  /**
   * Runs `work` in one unit of work and records its answer with it, or finds the answer of the first time. Work that
   * fails leaves no trace.
   *
   * @returns the recorded answer, or `undefined` where `work` has just been done
   * @throws IdempotencyKeyReused, IdempotencyInProgress, AnswerForgotten, and what `work` throws
   */
  once(request: KeyedRequest, work: () => Promise<KeyedAnswer>): Promise<KeyedAnswer | undefined> {
    return this.firstOf(request, (fingerprint, deadline) => this.findOrRun(request, fingerprint, deadline, work));
  }

  /**
   * The same for work that is done in a transaction with that of others: it sees to the claim itself, with `claimAll`
   * and `recordAll`.
   */
  onceAmongOthers(
    request: KeyedRequest,
    work: (claim: Claim) => Promise<KeyedAnswer>,
  ): Promise<KeyedAnswer | undefined> {
    return this.firstOf(request, (fingerprint, deadline) => this.runOrFind(request, fingerprint, deadline, work));
  }

  /**
   * Takes the keys for the running unit of work, without waiting.
   *
   * @returns an error for each whose key is taken, `undefined` for the others
   */
  async claimAll(claims: readonly (Claim | undefined)[]): Promise<(Error | undefined)[]> {
    const given = claims.filter((claim) => claim !== undefined);
    const taken = await claimWith((statement) => this.unitOfWork.query(statement), given);
    return claims.map((claim) => claim && taken.get(claim));
  }

  /** Records what was answered, in the same unit of work. @throws where a key has been used meanwhile */
  async recordAll(answers: readonly { claim: Claim; answer: KeyedAnswer }[]): Promise<void> {
    if (answers.length === 0) return;
    const rows = await this.unitOfWork.query<{ scope: string; key: string }>({
      name: 'record idempotency keys',
      text: RECORD_ALL,
      values: [
        JSON.stringify(
          answers.map(({ claim: { request, fingerprint }, answer }) => ({
            scope: request.scope,
            key: request.key,
            fingerprint: fingerprint.toString('hex'),
            ...answer,
          })),
        ),
      ],
    });
    if (rows.length === answers.length) return;
    const recorded = new Set(rows.map(({ scope, key }) => nameOf(scope, key)));
    const used = answers.filter(({ claim: { request } }) => !recorded.has(nameOf(request.scope, request.key)));
    // Among others this dissolves the group; whoever is alone then learns that the key is taken.
    for (const { claim } of used) throw answers.length === 1 ? claim.taken() : new Taken();
  }

  private async firstOf(
    request: KeyedRequest,
    attempt: (fingerprint: Buffer, deadline: number) => Promise<{ recorded: Recorded; isFirst: boolean }>,
  ): Promise<KeyedAnswer | undefined> {
    const name = nameOf(request.scope, request.key);
    const fingerprint = fingerprintOf(request, this.secrets[0]);
    const deadline = performance.now() + WAIT_MS;

    // Those of this process wait here for each other, so that at most one of them troubles the database.
    for (let current; (current = this.running.get(name)) !== undefined;) {
      const recorded = await Promise.race([current, until(deadline)]);
      if (recorded !== undefined) return this.sameOrThrow(recorded, request);
      if (performance.now() >= deadline) throw new IdempotencyInProgress();
    }

    let settle: (recorded: Recorded | undefined) => void = () => undefined;
    this.running.set(name, new Promise((resolve) => (settle = resolve)));
    let outcome: Recorded | undefined;
    try {
      const { recorded, isFirst } = await attempt(fingerprint, deadline);
      outcome = recorded;
      return isFirst ? undefined : this.sameOrThrow(recorded, request);
    } finally {
      this.running.delete(name);
      settle(outcome);
    }
  }

  /**
   * Deletes the answers that a person was given, and empties those that told others of them, or them before they had a
   * login: those keys still count. Joins the unit of work of their erasure.
   */
  async forget(userId: string): Promise<void> {
    const manager = await this.unitOfWork.manager();
    // Nobody can come as this user again.
    await manager.query(`DELETE FROM idempotency_keys WHERE scope = $1`, [IdempotencyKeys.scopeOfUser(userId)]);
    await manager.query(`UPDATE idempotency_keys SET body = '${FORGOTTEN}' WHERE about = $1`, [userId]);
  }

  /** Deletes keys that are past their time, in small steps; replicas that do so at once share the work. */
  async cleanUp(): Promise<void> {
    for (let deleted = CLEANUP_BATCH; deleted === CLEANUP_BATCH;) {
      const result: [unknown, number] = await this.dataSource.query(
        `DELETE FROM idempotency_keys WHERE (scope, key) IN (
           SELECT scope, key FROM idempotency_keys WHERE created_at <= now() - ${RETENTION}
            LIMIT ${CLEANUP_BATCH} FOR UPDATE SKIP LOCKED)`,
      );
      deleted = result[1];
    }
  }

  onApplicationBootstrap(): void {
    // A database that is away has its say elsewhere; the next time will do.
    const clean = () => void this.cleanUp().catch(() => undefined);
    clean();
    this.cleaning = setInterval(clean, CLEANUP_MS * (0.9 + Math.random() / 5)).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.cleaning);
  }

  private async findOrRun(
    request: KeyedRequest,
    fingerprint: Buffer,
    deadline: number,
    work: () => Promise<KeyedAnswer>,
  ): Promise<{ recorded: Recorded; isFirst: boolean }> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      // Looked for before the work, which may be costly before its first statement, or refuse today what it took then.
      const recorded = await find(this.dataSource.manager, request);
      if (recorded !== undefined) return { recorded, isFirst: false };
      const answer = await this.run(request, fingerprint, work);
      if (answer !== undefined) return { recorded: { fingerprint, answer }, isFirst: true };
      await pauseBefore(deadline, pause);
    }
  }

  private async runOrFind(
    request: KeyedRequest,
    fingerprint: Buffer,
    deadline: number,
    work: (claim: Claim) => Promise<KeyedAnswer>,
  ): Promise<{ recorded: Recorded; isFirst: boolean }> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const claim = new Claim(request, fingerprint);
      try {
        return { recorded: { fingerprint, answer: await work(claim) }, isFirst: true };
      } catch (error) {
        // Who has waited for a connection as long as they may does not begin to wait for another.
        if (isUnavailable(error)) throw error;
        // What is refused today may have been answered before: with another body, or when there was still some left.
        const recorded = await find(this.dataSource.manager, request);
        if (recorded !== undefined) return { recorded, isFirst: false };
        if (!claim.isTaken) throw error;
      }
      await pauseBefore(deadline, pause);
    }
  }

  /** `undefined` where somebody else has or had the key. */
  private async run(
    request: KeyedRequest,
    fingerprint: Buffer,
    work: () => Promise<KeyedAnswer>,
  ): Promise<KeyedAnswer | undefined> {
    // Kept apart from the error itself, which passes through a handler that may make another of it.
    const claim = new Claim(request, fingerprint);
    try {
      return await this.unitOfWork.run(
        async () => {
          const answer = await work();
          await this.recordAll([{ claim, answer }]);
          return answer;
        },
        async (query) => {
          const taken = (await claimWith(query, [claim])).get(claim);
          if (taken !== undefined) throw taken;
        },
      );
    } catch (error) {
      if (claim.isTaken) return undefined;
      throw error;
    }
  }

  private sameOrThrow({ fingerprint, answer }: Recorded, request: KeyedRequest): KeyedAnswer {
    if (!this.secrets.some((secret) => fingerprintOf(request, secret).equals(fingerprint)))
      throw new IdempotencyKeyReused();
    if (answer.body === FORGOTTEN) throw new AnswerForgotten();
    return answer;
  }
}

const derived = (key: KeyObject): KeyObject =>
  createSecretKey(createHmac('sha256', key).update('stoa idempotency keys').digest());

const fingerprintOf = ({ method, path, body }: KeyedRequest, secret: KeyObject): Buffer =>
  digest(secret, method, path, body);

/**
 * Keyed, because bodies hold passwords: a bare hash of one would be quicker to try them against than the hash that is made
 * to be slow.
 */
function digest(secret: KeyObject, ...parts: (string | Uint8Array)[]): Buffer {
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part);
  return hmac.digest();
}

/** Another process is at it. Asking again and again holds no connection, which waiting for its lock would. */
async function pauseBefore(deadline: number, milliseconds: number): Promise<void> {
  if (performance.now() + milliseconds >= deadline) throw new IdempotencyInProgress();
  await sleep(milliseconds);
}

const nameOf = (scope: string, key: string): string => `${scope} ${key}`;

const until = (deadline: number): Promise<undefined> =>
  sleep(Math.max(0, deadline - performance.now()), undefined, { ref: false });

async function claimWith(query: Query, claims: readonly Claim[]): Promise<Map<Claim, Error>> {
  if (claims.length === 0) return new Map();
  const rows = await query<{ isFree: boolean }>({
    name: 'claim idempotency keys',
    text: CLAIM_ALL,
    values: [claims.map(({ request }) => request.scope), claims.map(({ request }) => request.key)],
  });
  return new Map(claims.flatMap((claim, index) => (rows[index]?.isFree === true ? [] : [[claim, claim.taken()]])));
}

async function find(manager: EntityManager, { scope, formerScopes, key }: KeyedRequest): Promise<Recorded | undefined> {
  const rows: (KeyedAnswer & { fingerprint: Buffer })[] = await manager.query(
    `SELECT fingerprint, status, location, body, about FROM idempotency_keys
      WHERE scope = ANY ($1) AND key = $2 AND created_at > now() - ${RETENTION}`,
    [[scope, ...formerScopes], key],
  );
  return rows.map(({ fingerprint, ...answer }) => ({ fingerprint, answer }))[0];
}

/**
 * `false` where another transaction holds the key or has used it. One that commits between this statement's snapshot
 * and its lock goes unseen, and is met when the answer is recorded. By its LIMIT it looks up each key: NOT EXISTS made a
 * plan that reads all keys, where there were few yet, and went on with it when there were many.
 */
const CLAIM_ALL = `
  SELECT pg_try_advisory_xact_lock(hashtextextended(given.scope || ' ' || given.key, 0)) AND (
           SELECT true FROM idempotency_keys AS used
            WHERE used.scope = given.scope AND used.key = given.key AND used.created_at > now() - ${RETENTION}
            LIMIT 1
         ) IS NULL AS "isFree"
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS given (scope, key, place) ORDER BY place`;

/** Without those that have been used meanwhile. One that is past its time is overwritten. */
const RECORD_ALL = `
  INSERT INTO idempotency_keys AS old (scope, key, fingerprint, status, location, body, about, created_at)
  SELECT scope, key, decode(fingerprint, 'hex'), status, location, body, about, now()
    FROM json_to_recordset($1) AS given
      (scope text, key text, fingerprint text, status integer, location text, body text, about uuid)
      ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
     SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
         body = excluded.body, about = excluded.about, created_at = excluded.created_at
   WHERE old.created_at <= now() - ${RETENTION}
  RETURNING scope, key`;
