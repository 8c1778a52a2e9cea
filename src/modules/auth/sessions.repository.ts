import { Injectable } from '@nestjs/common';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Session } from './session.entity.js';

@Injectable()
export class SessionsRepository extends Repository<Session> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Session);
  }

  async end(id: string): Promise<void> {
    await this.query('UPDATE sessions SET ended_at = now() WHERE id = $1 AND ended_at IS NULL', [id]);
  }

  /** The addresses that the user's sessions were begun from, the latest first. */
  async ipsOf(userId: string): Promise<string[]> {
    const rows = await this.query<{ ip: string }>(
      `SELECT ip FROM sessions WHERE user_id = $1 AND ip IS NOT NULL GROUP BY ip ORDER BY max(created_at) DESC LIMIT 1000`,
      [userId],
    );
    return rows.map(({ ip }) => ip);
  }

  /** The role of the session's user, where the session has not ended and the user still is. */
  async liveRole(id: string, userId: string): Promise<string | undefined> {
    const [row] = await this.query<{ role: string }>(
      `SELECT users.role FROM sessions JOIN users ON users.id = sessions.user_id
       WHERE sessions.id = $1 AND sessions.user_id = $2 AND sessions.ended_at IS NULL AND users.erased_at IS NULL`,
      [id, userId],
    );
    return row?.role;
  }
}
