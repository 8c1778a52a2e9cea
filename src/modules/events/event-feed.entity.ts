import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

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
