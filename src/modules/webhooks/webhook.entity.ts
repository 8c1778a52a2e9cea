import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { EventType } from '../events/index.js';

/** `*` stands for all there are, and those to come. */
export type Subscription = EventType | '*';

export interface NewWebhook {
  url: string;
  eventTypes: Subscription[];
  description?: string;
  enabled?: boolean;
}
export type WebhookChanges = Partial<NewWebhook>;

interface PreviousSecret {
  secret: string;
  /** ISO 8601: it signs too until then. */
  until: string;
}

const PREVIOUS_SIGNS_FOR_MS = 24 * 60 * 60 * 1000;
/** Each of them lengthens a header of every delivery. */
const MOST_PREVIOUS_SECRETS = 10;

/** An address of somebody else's that wants to be told what happens here. */
@Entity('webhooks')
@Index('webhooks_by_created_at', { synchronize: false })
export class Webhook {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'webhooks_pkey' })
  id: string;

  @Column('text')
  url: string;

  @Column('text', { array: true })
  eventTypes: Subscription[];

  @Column('text')
  description: string;

  @Column('boolean')
  enabled: boolean;

  /** Sealed, as the previous ones are: who reads the table can not sign. */
  @Column('text')
  secret: string;

  @Column('jsonb')
  previousSecrets: PreviousSecret[];

  /** The transaction that made it: an event of a later one is for it, whatever the clocks say. */
  @Column('bigint')
  beginsAfter: number;

  /** The first failure since the last success. */
  @Column('timestamp with time zone', { precision: 3, nullable: true })
  failingSince: Date | null;

  @Column('timestamp with time zone', { precision: 3 })
  createdAt: Date;

  @Column('timestamp with time zone', { precision: 3 })
  updatedAt: Date;

  @Column('integer')
  version: number;

  static register(
    { url, eventTypes, description = '', enabled = true }: NewWebhook,
    { id, secret, beginsAfter }: Pick<Webhook, 'id' | 'secret' | 'beginsAfter'>,
  ): Webhook {
    const now = new Date();
    return Object.assign(new Webhook(), {
      id,
      url,
      eventTypes,
      description,
      enabled,
      secret,
      previousSecrets: [],
      beginsAfter,
      failingSince: null,
      createdAt: now,
      updatedAt: now,
      version: 1,
    });
  }

  wants(event: { type: EventType; transactionId: number }): boolean {
    return (
      this.enabled &&
      event.transactionId > this.beginsAfter &&
      this.eventTypes.some((type) => type === '*' || type === event.type)
    );
  }

  /** Takes over what is given and keeps the rest. */
  revise(changes: WebhookChanges): void {
    const isAnother = changes.url !== undefined && changes.url !== this.url;
    const isSwitchedOn = changes.enabled === true && !this.enabled;
    // What failed was the endpoint as it was.
    if (isAnother || isSwitchedOn) this.failingSince = null;
    this.url = changes.url ?? this.url;
    this.eventTypes = changes.eventTypes ?? this.eventTypes;
    this.description = changes.description ?? this.description;
    this.enabled = changes.enabled ?? this.enabled;
    this.touch();
  }

  switchOff(): void {
    this.enabled = false;
    this.touch();
  }

  /** From now on the new secret signs, and for a day the old one as well, so that the receiver can change over. */
  rotate(secret: string, now = new Date()): void {
    const until = new Date(now.getTime() + PREVIOUS_SIGNS_FOR_MS).toISOString();
    const valid = this.previousSecrets.filter((previous) => Date.parse(previous.until) > now.getTime());
    this.previousSecrets = [{ secret: this.secret, until }, ...valid].slice(0, MOST_PREVIOUS_SECRETS);
    this.secret = secret;
    this.touch();
  }

  /** Sealed, the newest first. */
  signingSecrets(now = new Date()): string[] {
    const valid = this.previousSecrets.filter(({ until }) => Date.parse(until) > now.getTime());
    return [this.secret, ...valid.map(({ secret }) => secret)];
  }

  /** Nothing that anybody sees changes. */
  reseal(again: (sealed: string) => string): void {
    this.previousSecrets = this.previousSecrets
      .filter(({ until }) => Date.parse(until) > Date.now())
      .map(({ secret, until }) => ({ secret: again(secret), until }));
    this.secret = again(this.secret);
  }

  private touch(): void {
    this.version += 1;
    this.updatedAt = new Date();
  }
}

/** The one row that says how far the feed of events has been turned into deliveries. */
@Entity('webhook_cursor')
@Check('webhook_cursor_id_check', 'id = 1')
export class WebhookCursor {
  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'webhook_cursor_pkey' })
  id: number;

  @Column('bigint')
  transactionId: number;

  @Column('uuid')
  eventId: string;
}
