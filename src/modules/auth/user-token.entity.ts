import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { v7 as uuid } from 'uuid';

export type Purpose = 'verify-email' | 'reset-password';

const LIFETIME_MS: Readonly<Record<Purpose, number>> = {
  'verify-email': 3 * 24 * 3_600_000,
  'reset-password': 3_600_000,
};

/** What a mailed link is good for, once. Only the hash is kept; a token that was used is deleted. */
@Entity('user_tokens')
@Unique('user_tokens_token_hash_key', ['tokenHash'])
@Check('user_tokens_purpose_check', `purpose IN ('verify-email', 'reset-password')`)
@Index('user_tokens_by_user', { synchronize: false })
@Index('user_tokens_by_expiry', { synchronize: false })
export class UserToken {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'user_tokens_pkey' })
  id: string;

  @ForeignKey('users', { name: 'user_tokens_user_id_fkey' })
  @Column('uuid')
  userId: string;

  @Column('text')
  purpose: Purpose;

  @Column('text')
  tokenHash: string;

  /** The address that it was mailed to: of no use once the user has another. */
  @Column('text')
  emailKey: string;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  expiresAt: Date;

  static issue(given: { userId: string; emailKey: string; purpose: Purpose; tokenHash: string }): UserToken {
    const createdAt = new Date();
    const expiresAt = new Date(createdAt.getTime() + LIFETIME_MS[given.purpose]);
    return Object.assign(new UserToken(), { ...given, id: uuid(), createdAt, expiresAt });
  }
}
