import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { NIL } from 'uuid';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Event, type FeedEntry, type FeedPosition } from './event.entity.js';
import type { EventType } from './event-types.js';

export interface EventFilters {
  type?: EventType;
}

const FEED: ListDefinition<Event> = {
  name: 'events',
  sortKeys: { createdAt: { sql: 'event.transactionId', type: 'bigint', of: (event) => event.transactionId } },
  defaultSort: { by: 'createdAt', order: 'asc' },
  followed: true,
};

/**
 * The id that follows this one, of the same version and time. (Events of one resource that meet in one place of the feed may
 * have been made by replicas whose clocks differ.)
 */
const following = (id: string): string => `(left(${id}::text, 24) ||
  lpad(to_hex((('x' || right(${id}::text, 12))::bit(48)::bigint + 1) & 281474976710655), 12, '0'))::uuid`;

/** A database shares its count of transactions with the others of its server, of which none writes here. */
const ELSEWHERE = `SELECT FROM pg_stat_get_activity(NULL) AS session
  WHERE session.backend_xid = running.id::xid
    AND session.datid <> (SELECT oid FROM pg_database WHERE datname = current_database())`;

/**
 * Older than every transaction that is still open: whatever commits from now on comes behind these. Times would not do,
 * nor would numbers that are given out before the commit: a transaction that takes long appears behind its back.
 */
const SETTLED = `event.transaction_id < (
  SELECT transaction_offset + least(
           (SELECT min(running.id::text::bigint) FROM pg_snapshot_xip(pg_current_snapshot()) AS running (id)
             WHERE NOT EXISTS (${ELSEWHERE})),
           pg_current_xact_id_if_assigned()::text::bigint,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
    FROM event_feed)`;

@Injectable()
export class EventsRepository extends Repository<Event> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Event);
  }

  /**
   * All in one statement, and in this order. A transaction may have been given its number before it had to wait for one
   * with a higher number, which changed the same resource first: then its event moves up to the place of that one, behind
   * it. To stand further on than one's own number is safe, as readers wait for all that are lower.
   */
  async append(events: readonly Omit<Event, 'transactionId'>[]): Promise<void> {
    if (events.length === 0) return;
    await this.send(
      'append events',
      `INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
       SELECT CASE WHEN last.id >= given.id THEN ${following('last.id')} ELSE given.id END,
              type, "resourceId", sequence, data, "createdAt", greatest(own.transaction_id, last.transaction_id)
         FROM (SELECT pg_current_xact_id()::text::bigint + transaction_offset AS transaction_id FROM event_feed) AS own
              CROSS JOIN json_to_recordset($1) AS given
                (id uuid, type text, "resourceId" uuid, sequence integer, data jsonb, "createdAt" timestamptz)
              LEFT JOIN LATERAL (
                SELECT id, transaction_id FROM events
                 WHERE given.sequence > 1 AND resource_id = given."resourceId"
                 ORDER BY events.sequence DESC LIMIT 1
              ) AS last ON last.transaction_id >= own.transaction_id`,
      [JSON.stringify(events)],
    );
  }

  /** The one change that an event ever sees. */
  async overwrite(resourceIds: readonly string[], types: readonly string[], fields: object): Promise<void> {
    await this.query(
      `UPDATE events SET data = data || $3
        WHERE resource_id = ANY ($1::uuid[]) AND type = ANY ($2) AND data || $3 IS DISTINCT FROM data`,
      [resourceIds, types, JSON.stringify(fields)],
    );
  }

  async findPage({ type }: EventFilters, request: PageRequest, caller: string): Promise<Page<Event>> {
    const query = (await this.manager()).createQueryBuilder(Event, 'event').where(SETTLED);
    if (type !== undefined) query.andWhere('event.type = :type', { type });
    return this.pager.page(query, FEED, request, [type ?? null, caller]);
  }

  findAfter(position: FeedPosition | undefined, limit: number): Promise<FeedEntry[]> {
    return this.query(
      `SELECT id, type, transaction_id AS "transactionId" FROM events AS event
        WHERE ${SETTLED} AND (transaction_id, id) > ($1::bigint, $2::uuid)
        ORDER BY transaction_id, id LIMIT $3`,
      [position?.transactionId ?? 0, position?.id ?? NIL, limit],
    );
  }

  async backlog({ transactionId, id }: FeedPosition, most: number): Promise<{ events: number; oldestSeconds: number }> {
    const [row] = await this.query<{ events: number; oldestSeconds: number }>(
      `SELECT count(*) AS events,
              greatest(0, coalesce(extract(epoch FROM now() - min(created_at)), 0))::float8 AS "oldestSeconds"
         FROM (SELECT created_at FROM events WHERE (transaction_id, id) > ($1::bigint, $2::uuid)
                ORDER BY transaction_id, id LIMIT $3) AS behind`,
      [transactionId, id, most],
    );
    return row ?? { events: 0, oldestSeconds: 0 };
  }

  findByIds(ids: readonly string[]): Promise<Event[]> {
    return this.findMany({ where: { id: In([...ids]) } });
  }

  async ownTransactionId(): Promise<number> {
    const [row] = await this.query<{ id: number }>(
      `SELECT pg_current_xact_id()::text::bigint + transaction_offset AS id FROM event_feed`,
    );
    if (row === undefined) throw new Error('The feed of events has lost its row');
    return row.id;
  }

  /**
   * PostgreSQL counts its transactions anew where the data is restored from a dump: what is written next would come
   * before all that is there. So the count is moved on to where it was.
   */
  async moveOn(): Promise<void> {
    await this.query(
      `UPDATE event_feed SET transaction_offset = last.transaction_id - pg_current_xact_id()::text::bigint + 1
         FROM (SELECT transaction_id FROM events ORDER BY transaction_id DESC LIMIT 1) AS last
        WHERE last.transaction_id > pg_snapshot_xmax(pg_current_snapshot())::text::bigint + transaction_offset`,
    );
  }

  /** @param before ids bear the time at which they were made, so the oldest are the first */
  async deleteOldest(before: string, limit: number): Promise<number> {
    const rows = await this.query(
      `DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 ORDER BY id LIMIT $2) RETURNING id`,
      [before, limit],
    );
    return rows.length;
  }
}
