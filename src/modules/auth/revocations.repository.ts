import { Injectable } from '@nestjs/common';
import { Repository } from '../../database/repository.js';
import { type Query, UnitOfWork } from '../../database/unit-of-work.js';
import { Revocation } from './revocation.entity.js';

/** Some revocations, and from where to ask for those that are not among them. */
export interface Revoked {
  revocations: Pick<Revocation, 'sessionId' | 'userId' | 'rightsVersion'>[];
  next: number;
}

@Injectable()
export class RevocationsRepository extends Repository<Revocation> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Revocation);
  }

  /** All in one statement. The database's clock, since replicas' own may differ. */
  async append(revocations: readonly Revocation[]): Promise<void> {
    await this.query(
      `INSERT INTO revocations (id, session_id, user_id, rights_version, created_at, transaction_id)
       SELECT *, clock_timestamp(), pg_current_xact_id()::text::bigint
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[])`,
      [
        revocations.map(({ id }) => id),
        revocations.map(({ sessionId }) => sessionId),
        revocations.map(({ userId }) => userId),
        revocations.map(({ rightsVersion }) => rightsVersion),
      ],
    );
  }

  /**
   * Those of the last so many seconds that an earlier call can not have seen: every transaction before `next` was over
   * when it was given out, so whatever committed since is at or after it. Some may come twice.
   *
   * @param query over which connection to ask
   */
  async since(
    next: number,
    seconds: number,
    query: Query = (statement) => this.unitOfWork.query(statement),
  ): Promise<Revoked> {
    const rows = await query<{
      session_id: string | null;
      user_id: string | null;
      rights_version: number | null;
      next: number;
    }>({
      text: `SELECT session_id, user_id, rights_version, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS next
       FROM (SELECT 1) AS always
       LEFT JOIN revocations ON transaction_id >= $1 AND created_at > now() - make_interval(secs => $2)`,
      values: [next, seconds],
    });
    const revocations = rows
      .filter((row) => row.session_id !== null || row.user_id !== null)
      .map((row) => ({ sessionId: row.session_id, userId: row.user_id, rightsVersion: row.rights_version }));
    return { revocations, next: rows[0]?.next ?? next };
  }

  async deleteOlderThan(seconds: number): Promise<void> {
    await this.query('DELETE FROM revocations WHERE created_at < now() - make_interval(secs => $1)', [seconds]);
  }
}
