import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../config.js';
import { type Query, UnitOfWork } from '../../database/unit-of-work.js';
import { UnavailableError } from '../../errors.js';
import { Signals } from '../../signals/signals.js';
import { Log } from '../../telemetry/logger.js';
import { Revocation } from './revocation.entity.js';
import { type Revoked, RevocationsRepository } from './revocations.repository.js';

const TOPIC = 'revoked';
/** What clocks may differ by, and a transaction may last after the token in it was made. */
const MARGIN_SECONDS = 60;
/** While signals may be lost, the table is asked this often. */
const POLL_MS = 100;
const POLL_TIMEOUT_MS = 2_000;
/** Ids in one signal: 100 are under 4 KB. */
const PER_SIGNAL = 100;

type Target = Pick<Revocation, 'sessionId' | 'userId' | 'rightsVersion'>;

/**
 * Which access tokens have ended before their time. Written to the database in the transaction that ends them, kept in
 * the memory of every replica for as long as such a token could live: to ask costs no query.
 */
@Injectable()
export class Revocations implements OnModuleInit, OnApplicationShutdown {
  private readonly sessions = new Map<string, number>();
  private readonly users = new Map<string, { rights: number; at: number }>();
  private readonly keptSeconds: number;
  private next = 0;
  private following = false;
  private stopped = false;
  private polls = 0;
  /** Whether the table could not be read while signals may be lost: until it is, nobody can tell which tokens are good. */
  private isBlind = false;

  constructor(
    private readonly revocations: RevocationsRepository,
    private readonly signals: Signals,
    private readonly unitOfWork: UnitOfWork,
    config: Config,
    @Log() private readonly logger: Logger,
  ) {
    this.keptSeconds = config.accessTokenTtl + MARGIN_SECONDS;
  }

  /** Before the first request: first listen, then read, so that nothing falls in between. */
  async onModuleInit(): Promise<void> {
    this.signals.subscribe(TOPIC, (payload) => {
      for (const target of parse(payload)) this.apply(target);
    });
    this.signals.onListening((query) => this.load(query));
    this.signals.onDoubt(() => void this.follow());
    await this.signals.start();
    if (!this.signals.isSound) {
      await this.load();
      void this.follow();
    }
    setInterval(() => {
      this.forgetOld();
    }, 60_000).unref();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
  }

  /**
   * Whether this token has ended before its time.
   *
   * @throws UnavailableError while the database is away and nobody can tell
   */
  isRevoked({ sid, sub, rights }: { sid: string; sub: string; rights: number }): boolean {
    if (this.sessions.has(sid)) return true;
    if (rights < (this.users.get(sub)?.rights ?? 0)) return true;
    if (this.isBlind) throw new UnavailableError('The database is away, try again');
    return false;
  }

  /** Ends the access tokens of these sessions, when the running unit of work commits. */
  async revokeSessions(sessionIds: readonly string[]): Promise<void> {
    await this.revoke(sessionIds.map((id) => Revocation.ofSession(id)));
  }

  /** Ends a user's access tokens that were made for rights older than these, when the running unit of work commits. */
  async revokeRights(userId: string, rightsVersion: number): Promise<void> {
    await this.revoke([Revocation.ofUser(userId, rightsVersion)]);
  }

  /** Lets go of what no living token can need. */
  async clean(): Promise<void> {
    await this.revocations.deleteOlderThan(this.keptSeconds + MARGIN_SECONDS);
  }

  private async revoke(revocations: readonly Revocation[]): Promise<void> {
    if (revocations.length === 0) return;
    await this.revocations.append(revocations);
    for (let from = 0; from < revocations.length; from += PER_SIGNAL) {
      await this.signals.publish(TOPIC, format(revocations.slice(from, from + PER_SIGNAL)));
    }
    // Whoever asked for it sees it with their next request, however slow the signal.
    this.unitOfWork.afterCommit(() => {
      for (const revocation of revocations) this.apply(revocation);
    });
  }

  private apply({ sessionId, userId, rightsVersion }: Target): void {
    const at = Date.now();
    if (sessionId !== null) this.sessions.set(sessionId, at);
    if (userId === null || rightsVersion === null) return;
    this.users.set(userId, { rights: Math.max(rightsVersion, this.users.get(userId)?.rights ?? 0), at });
  }

  /** While signals may be late or lost the table is asked. Once they are certain again it has been read, if any were lost. */
  private async follow(): Promise<void> {
    if (this.following) return;
    this.following = true;
    while (!this.signals.isSound && !this.stopped) {
      this.isBlind = !(await this.loadInTime());
      await sleep(POLL_MS, undefined, { ref: false });
    }
    this.isBlind = false;
    this.following = false;
  }

  /** A question that gets no answer holds a connection: so there are two of them at most. */
  private async loadInTime(): Promise<boolean> {
    if (this.polls >= 2) return false;
    this.polls++;
    const loading = this.load()
      .then(
        () => true,
        (error: unknown) => {
          this.logger.debug({ err: error }, 'Revocations could not be read');
          return false;
        },
      )
      .finally(() => this.polls--);
    return Promise.race([loading, sleep(POLL_TIMEOUT_MS, false, { ref: false })]);
  }

  private async load(query?: Query): Promise<void> {
    const { revocations, next }: Revoked = await this.revocations.since(this.next, this.keptSeconds, query);
    for (const revocation of revocations) this.apply(revocation);
    this.next = Math.max(this.next, next);
  }

  private forgetOld(): void {
    const before = Date.now() - this.keptSeconds * 1000;
    for (const [id, at] of this.sessions) if (at < before) this.sessions.delete(id);
    for (const [id, { at }] of this.users) if (at < before) this.users.delete(id);
  }
}

/** `session` or `user@rights`, separated by commas. */
const format = (targets: readonly Target[]): string =>
  targets.map(({ sessionId, userId, rightsVersion }) => sessionId ?? `${userId ?? ''}@${rightsVersion ?? 0}`).join();

const parse = (payload: string): Target[] =>
  payload.split(',').map((each) => {
    const [id = '', rights] = each.split('@');
    return rights === undefined
      ? { sessionId: id, userId: null, rightsVersion: null }
      : { sessionId: null, userId: id, rightsVersion: Number(rights) };
  });
