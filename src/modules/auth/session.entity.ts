import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { v7 as uuid } from 'uuid';

/** What a refresh token that is presented turns out to be. */
export type Presented = 'current' | 'spent last' | 'spent';

/** One login. Its refresh token is replaced at every use; only hashes of the tokens' ids are kept. */
@Entity('sessions')
@Index('sessions_by_user', { synchronize: false })
export class Session {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'sessions_pkey' })
  id: string;

  @ForeignKey('users', { name: 'sessions_user_id_fkey' })
  @Column('uuid')
  userId: string;

  @Column('text')
  refreshHash: string;

  @Column('text', { nullable: true })
  previousRefreshHash: string | null;

  /** When the current refresh token was given out. */
  @Column('timestamp with time zone', { precision: 3 })
  rotatedAt: Date;

  @Column('text', { nullable: true })
  ip: string | null;

  @Column('text', { nullable: true })
  userAgent: string | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  lastUsedAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  expiresAt: Date;

  @Column('timestamp with time zone', { precision: 3, nullable: true })
  endedAt: Date | null;

  static begin(given: {
    userId: string;
    refreshHash: string;
    ip: string | null;
    userAgent: string | null;
    id: string;
    now: Date;
    expiresAt: Date;
  }): Session {
    const { now, ...rest } = given;
    return Object.assign(new Session(), {
      ...rest,
      previousRefreshHash: null,
      rotatedAt: now,
      createdAt: now,
      lastUsedAt: now,
      endedAt: null,
    });
  }

  static newId(): string {
    return uuid();
  }

  /** @param grace seconds for which the token spent last may still come, from a client that lost the answer */
  judge(refreshHash: string, grace: number, now: Date): Presented {
    if (refreshHash === this.refreshHash) return 'current';
    const inGrace = now.getTime() - this.rotatedAt.getTime() <= grace * 1000;
    return refreshHash === this.previousRefreshHash && grace > 0 && inGrace ? 'spent last' : 'spent';
  }

  rotate(refreshHash: string, now: Date, expiresAt: Date): void {
    this.previousRefreshHash = this.refreshHash;
    this.refreshHash = refreshHash;
    this.rotatedAt = now;
    this.lastUsedAt = now;
    this.expiresAt = expiresAt;
  }
}
