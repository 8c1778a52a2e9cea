import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuid } from 'uuid';

/**
 * Access tokens that ended before their time: all of one session, or those of one user that were made for older rights.
 * Needed for as long as such a token could live. No foreign keys: it must outlast what it is about.
 */
@Entity('revocations')
@Check('revocations_target_check', '(session_id IS NULL) = (user_id IS NOT NULL AND rights_version IS NOT NULL)')
@Index('revocations_feed', { synchronize: false })
export class Revocation {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'revocations_pkey' })
  id: string;

  @Column('uuid', { nullable: true })
  sessionId: string | null;

  @Column('uuid', { nullable: true })
  userId: string | null;

  /** Tokens made for an older version are revoked. */
  @Column('integer', { nullable: true })
  rightsVersion: number | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  /** The database transaction that wrote it: see `RevocationsRepository.since`. */
  @Column({ type: 'bigint', insert: false, update: false, select: false })
  transactionId: number;

  static ofSession(sessionId: string): Revocation {
    return Object.assign(new Revocation(), { id: uuid(), sessionId, userId: null, rightsVersion: null });
  }

  static ofUser(userId: string, rightsVersion: number): Revocation {
    return Object.assign(new Revocation(), { id: uuid(), sessionId: null, userId, rightsVersion });
  }
}
