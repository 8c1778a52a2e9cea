import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Something that happened to a resource, written in the transaction that made it happen. */
@Entity('events')
@Index('events_feed', { synchronize: false })
@Index('events_by_resource', { synchronize: false })
export class Event {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'events_pkey' })
  id: string;

  @Column('text')
  type: string;

  @Column('uuid')
  resourceId: string;

  /** The version of the resource that the event made: puts events of one resource in order. */
  @Column('integer')
  sequence: number;

  /** The resource as the API shows it. */
  @Column('jsonb')
  data: object;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  /** The database transaction that wrote it, and the place in it: the order of the feed. */
  @Column({ type: 'bigint', insert: false, update: false, select: false })
  transactionId: number;

  @Column({
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    insert: false,
    update: false,
    select: false,
  })
  position: number;
}
