import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import type { EventType } from '../events/index.js';
import { Webhook } from './webhook.entity.js';

/** pending: to be attempted, for the first time or again. dead: given up; nothing happens until somebody says so. */
export const DELIVERY_STATES = ['pending', 'delivered', 'dead'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** What is sent to try an endpoint out. It tells of no event. */
export const PING = 'ping';
export type DeliveryType = EventType | typeof PING;

/** One event that one endpoint is to be told of. What is told is read from the event when it is sent. */
@Entity('webhook_deliveries')
@Unique('webhook_deliveries_webhook_id_event_id_key', ['webhookId', 'eventId'])
@Check('webhook_deliveries_state_check', `state IN ('pending', 'delivered', 'dead')`)
@Check('webhook_deliveries_next_attempt_at_check', `(state = 'pending') = (next_attempt_at IS NOT NULL)`)
@Index('webhook_deliveries_by_created_at', { synchronize: false })
@Index('webhook_deliveries_due', { synchronize: false })
export class WebhookDelivery {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'webhook_deliveries_pkey' })
  id: string;

  @Column('uuid')
  @ForeignKey(() => Webhook, { name: 'webhook_deliveries_webhook_id_fkey', onDelete: 'CASCADE' })
  webhookId: string;

  /** The `webhook-id` of every attempt. Not a reference: old events may be forgotten, and a ping has none. */
  @Column('uuid')
  eventId: string;

  @Column('text')
  eventType: DeliveryType;

  @Column('text')
  state: DeliveryState;

  @Column('integer')
  attempts: number;

  @Column('integer', { nullable: true })
  lastStatus: number | null;

  @Column('text', { nullable: true })
  lastError: string | null;

  /** How the answer began. Lists do not read it. */
  @Column('text', { nullable: true, select: false })
  lastResponse: string | null;

  @Column('timestamp with time zone', { precision: 3, nullable: true })
  nextAttemptAt: Date | null;

  /** Some process is sending it. Past this time that process is taken for lost, and another may send it. */
  @Column('timestamp with time zone', { precision: 3, nullable: true })
  leasedUntil: Date | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;
}
