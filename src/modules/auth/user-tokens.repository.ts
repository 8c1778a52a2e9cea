import { Injectable } from '@nestjs/common';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { type Purpose, UserToken } from './user-token.entity.js';

/** Whose token it is, and which of their addresses it was mailed to. */
export interface Claim {
  userId: string;
  emailKey: string;
}

@Injectable()
export class UserTokensRepository extends Repository<UserToken> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, UserToken);
  }

  /** Whose it is while it is good; does not use it up. */
  async findGood(purpose: Purpose, tokenHash: string): Promise<Claim | null> {
    const [row] = await this.query<{ user_id: string; email_key: string }>(
      `SELECT user_id, email_key FROM user_tokens WHERE purpose = $1 AND token_hash = $2 AND expires_at > now()`,
      [purpose, tokenHash],
    );
    return row ? { userId: row.user_id, emailKey: row.email_key } : null;
  }

  /** Uses it up: of two who come at once, one gets it. */
  async take(purpose: Purpose, tokenHash: string): Promise<Claim | null> {
    const [row] = await this.query<{ user_id: string; email_key: string }>(
      `DELETE FROM user_tokens WHERE purpose = $1 AND token_hash = $2 AND expires_at > now()
       RETURNING user_id, email_key`,
      [purpose, tokenHash],
    );
    return row ? { userId: row.user_id, emailKey: row.email_key } : null;
  }

  /** How many were issued to this user within the last hour. */
  async countRecent(userId: string, purpose: Purpose): Promise<number> {
    const [row] = await this.query<{ count: number }>(
      `SELECT count(*) FROM user_tokens
       WHERE user_id = $1 AND purpose = $2 AND created_at > now() - interval '1 hour'`,
      [userId, purpose],
    );
    return row?.count ?? 0;
  }

  async deleteOf(userId: string, purpose?: Purpose): Promise<void> {
    await this.query('DELETE FROM user_tokens WHERE user_id = $1 AND ($2::text IS NULL OR purpose = $2)', [
      userId,
      purpose ?? null,
    ]);
  }

  async deleteExpired(): Promise<void> {
    await this.query('DELETE FROM user_tokens WHERE expires_at < now()');
  }
}
