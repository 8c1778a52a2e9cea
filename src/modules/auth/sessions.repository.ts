import { Injectable } from '@nestjs/common';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Session } from './session.entity.js';

const LIST: ListDefinition<Session> = {
  name: 'sessions',
  sortKeys: {
    createdAt: { sql: 'session.createdAt', type: 'timestamptz', of: (session) => session.createdAt },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

@Injectable()
export class SessionsRepository extends Repository<Session> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Session);
  }

  /**
   * Those that there are, locked in the order of their ids: nobody waits in a circle. And what time it is, by the one clock
   * that all replicas share.
   */
  async lockAll(ids: readonly string[]): Promise<{ sessions: Map<string, Session>; now: Date }> {
    const rows = await this.prepared<Session & { now: Date }>(
      'lock sessions',
      `SELECT id, user_id AS "userId", refresh_hash AS "refreshHash", previous_refresh_hash AS "previousRefreshHash",
              rotated_at AS "rotatedAt", ip, user_agent AS "userAgent", created_at AS "createdAt",
              last_used_at AS "lastUsedAt", expires_at AS "expiresAt", ended_at AS "endedAt", clock_timestamp() AS now
         FROM sessions WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE`,
      [ids],
    );
    const sessions = new Map(rows.map(({ now: _, ...row }) => [row.id, Object.assign(new Session(), row)]));
    return { sessions, now: rows.at(-1)?.now ?? new Date() };
  }

  /** Writes what `rotate` has changed. */
  async writeRotations(sessions: readonly Session[]): Promise<void> {
    if (sessions.length === 0) return;
    await this.send(
      'rotate sessions',
      `UPDATE sessions
          SET refresh_hash = given."refreshHash", previous_refresh_hash = given."previousRefreshHash",
              rotated_at = given."rotatedAt", last_used_at = given."lastUsedAt", expires_at = given."expiresAt"
         FROM json_to_recordset($1) AS given
           (id uuid, "refreshHash" text, "previousRefreshHash" text, "rotatedAt" timestamptz,
            "lastUsedAt" timestamptz, "expiresAt" timestamptz)
        WHERE sessions.id = given.id`,
      [JSON.stringify(sessions)],
    );
  }

  /** Those of one user that have neither ended nor expired. */
  async findLiving(userId: string, request: PageRequest): Promise<Page<Session>> {
    const query = (await this.manager())
      .createQueryBuilder(Session, 'session')
      .where('session.userId = :userId AND session.endedAt IS NULL AND session.expiresAt > now()', { userId });
    return this.pager.page(query, LIST, request, userId);
  }

  /** The addresses that the user's sessions were begun from, the latest first. */
  async ipsOf(userId: string): Promise<string[]> {
    const rows = await this.query<{ ip: string }>(
      `SELECT ip FROM sessions WHERE user_id = $1 AND ip IS NOT NULL GROUP BY ip ORDER BY max(created_at) DESC LIMIT 1000`,
      [userId],
    );
    return rows.map(({ ip }) => ip);
  }

  /** @returns whether it was a living session of this user */
  async end(id: string, userId: string): Promise<boolean> {
    const rows = await this.query(
      `UPDATE sessions SET ended_at = now()
       WHERE id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > now() RETURNING id`,
      [id, userId],
    );
    return rows.length === 1;
  }

  /** @returns the ids of those that it ended, which are all that were living but the spared one */
  async endAll(userId: string, spared: string | null): Promise<string[]> {
    const rows = await this.query<{ id: string }>(
      `UPDATE sessions SET ended_at = now()
       WHERE user_id = $1 AND id IS DISTINCT FROM $2::uuid AND ended_at IS NULL RETURNING id`,
      [userId, spared],
    );
    return rows.map(({ id }) => id);
  }

  /** Whether this user has logged in from this address with this program before, as far as we remember. */
  async isKnown(userId: string, ip: string | null, userAgent: string | null): Promise<boolean> {
    const [row] = await this.query<{ known: boolean }>(
      `SELECT EXISTS (
         SELECT 1 FROM sessions
         WHERE user_id = $1 AND ip IS NOT DISTINCT FROM $2 AND user_agent IS NOT DISTINCT FROM $3
       ) AS known`,
      [userId, ip, userAgent],
    );
    return row?.known ?? false;
  }

  async deleteOf(userId: string): Promise<void> {
    await this.query('DELETE FROM sessions WHERE user_id = $1', [userId]);
  }

  /** Those that were over so many days ago; a few at a time, so that no lock is held for long. */
  async deleteOver(days: number, limit: number): Promise<number> {
    const rows = await this.query(
      `DELETE FROM sessions WHERE id IN (
         SELECT id FROM sessions
         WHERE expires_at < now() - make_interval(days => $1) OR ended_at < now() - make_interval(days => $1)
         LIMIT $2 FOR UPDATE SKIP LOCKED
       ) RETURNING id`,
      [days, limit],
    );
    return rows.length;
  }
}
