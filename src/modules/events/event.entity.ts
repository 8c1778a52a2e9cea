import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import type { EventType } from './event-types.js';

/** Something that happened to a resource, written in the transaction that made it happen. */
@Entity('events')
@Unique('events_resource_id_sequence_key', ['resourceId', 'sequence'])
@Index('events_feed', { synchronize: false })
@Index('events_feed_by_type', { synchronize: false })
export class Event {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'events_pkey' })
  id: string;

  @Column('text')
  type: EventType;

  @Column('uuid')
  resourceId: string;

  /** The version of the resource that the event made: no two events of one resource share it, later ones have more. */
  @Column('integer')
  sequence: number;

  /** The resource as the API shows it. */
  @Column('jsonb')
  data: object;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  /** The database transaction that wrote it: orders the feed, and within one transaction the id does. */
  @Column('bigint')
  transactionId: number;
}

/** The one row that keeps the feed going forward when the data moves to another PostgreSQL. */
@Entity('event_feed')
@Check('event_feed_id_check', 'id = 1')
export class EventFeed {
  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'event_feed_pkey' })
  id: number;

  /** What is added to this cluster's count of transactions. */
  @Column('bigint')
  transactionOffset: number;
}

/** Where a reader is in the feed: at an event. */
export type FeedPosition = Pick<Event, 'transactionId' | 'id'>;

/** An event without what it tells: whoever only passes it on need not read that. */
export type FeedEntry = FeedPosition & Pick<Event, 'type'>;
