import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsBoolean, IsIn, ValidateBy } from 'class-validator';
import { Optional, Text } from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import { EVENT_TYPES } from '../events/index.js';
import {
  DELIVERY_STATES,
  type DeliveryState,
  type DeliveryType,
  PING,
  type WebhookDelivery,
} from './delivery.entity.js';
import type { Subscription, Webhook } from './webhook.entity.js';

const SUBSCRIPTIONS: readonly string[] = [...EVENT_TYPES, '*'];
const MOST_TYPES = 50;

const isSubscription = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length >= 1 &&
  value.length <= MOST_TYPES &&
  new Set(value).size === value.length &&
  value.every((type) => SUBSCRIPTIONS.includes(type as string)) &&
  (value.length === 1 || !value.includes('*'));

/** Types of events, each once, or `*` alone. */
const EventTypes = () =>
  applyDecorators(
    ValidateBy({
      name: 'eventTypes',
      validator: {
        validate: isSubscription,
        defaultMessage: () => `must be a list of types of events, each once, or ["*"]: ${EVENT_TYPES.join(', ')}`,
      },
    }),
    ApiProperty({
      type: 'array',
      items: { type: 'string', enum: [...SUBSCRIPTIONS] },
      minItems: 1,
      maxItems: MOST_TYPES,
      uniqueItems: true,
      example: ['order.created', 'order.paid'],
    }),
  );

export class CreateWebhookDto {
  /**
   * http or https, and nothing that leads into a private network
   * @example https://shop.example/stoa
   */
  @Text(1, 2000)
  url: string;

  /** What to be told of; `*` for everything */
  @EventTypes()
  eventTypes: Subscription[];

  /**
   * Empty where it is left out
   * @example The warehouse
   */
  @Optional()
  @Text(0, 5000)
  description?: string;

  /** It is, where this is left out */
  @Optional()
  @IsBoolean({ message: 'must be true or false' })
  enabled?: boolean;
}

export class ReplaceWebhookDto extends CreateWebhookDto {}

export class UpdateWebhookDto {
  /** @example https://shop.example/stoa */
  @Optional()
  @Text(1, 2000)
  url?: string;

  @Optional()
  @EventTypes()
  eventTypes?: Subscription[];

  /** @example The warehouse */
  @Optional()
  @Text(0, 5000)
  description?: string;

  @Optional()
  @IsBoolean({ message: 'must be true or false' })
  enabled?: boolean;
}

export class WebhooksQuery extends ListQuery {
  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class DeliveriesQuery extends ListQuery {
  /** `pending`: to be attempted, `delivered`, or `dead`: given up */
  @Optional()
  @IsIn(DELIVERY_STATES)
  state?: DeliveryState;

  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class WebhookView {
  @ApiProperty({ format: 'uuid' })
  id: string;
  /** @example https://shop.example/stoa */
  url: string;
  @ApiProperty({ type: 'array', items: { type: 'string', enum: [...SUBSCRIPTIONS] }, maxItems: MOST_TYPES })
  eventTypes: Subscription[];
  description: string;
  /** One that is gone (410), or has failed for days, is switched off by itself */
  enabled: boolean;
  createdAt: Date;
  updatedAt: Date;
  @ApiProperty({ type: 'integer' })
  version: number;
}

export class WebhookWithSecretView extends WebhookView {
  /**
   * Signs what is sent. Shown this once: null where this answer is given again for the same `Idempotency-Key`
   * @example whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=
   */
  secret: string | null;
}

export class DeliveryView {
  @ApiProperty({ format: 'uuid' })
  id: string;
  /** The `webhook-id` of every attempt */
  @ApiProperty({ format: 'uuid' })
  eventId: string;
  @ApiProperty({ enum: [...EVENT_TYPES, PING] })
  eventType: DeliveryType;
  @ApiProperty({ enum: DELIVERY_STATES })
  state: DeliveryState;
  @ApiProperty({ type: 'integer', minimum: 0, maximum: 50 })
  attempts: number;
  /** What the receiver answered; null where it did not */
  @ApiProperty({ type: 'integer', minimum: 100, maximum: 999, nullable: true })
  lastStatus: number | null;
  /** Why the last attempt failed */
  lastError: string | null;
  /** Null where there is none to come */
  nextAttemptAt: Date | null;
  createdAt: Date;
}

export class DeliveryDetailView extends DeliveryView {
  /** How the receiver's last answer began, up to 1 KiB */
  lastResponse: string | null;
}

export function toWebhook(webhook: Webhook): WebhookView {
  return {
    id: webhook.id,
    url: webhook.url,
    eventTypes: webhook.eventTypes,
    description: webhook.description,
    enabled: webhook.enabled,
    createdAt: webhook.createdAt,
    updatedAt: webhook.updatedAt,
    version: webhook.version,
  };
}

export const toWebhookWithSecret = (webhook: Webhook, secret: string): WebhookWithSecretView =>
  Object.assign(toWebhook(webhook), { secret });

export function toDelivery(delivery: WebhookDelivery): DeliveryView {
  return {
    id: delivery.id,
    eventId: delivery.eventId,
    eventType: delivery.eventType,
    state: delivery.state,
    attempts: delivery.attempts,
    lastStatus: delivery.lastStatus,
    lastError: delivery.lastError,
    nextAttemptAt: delivery.nextAttemptAt,
    createdAt: delivery.createdAt,
  };
}

export const toDeliveryDetail = (delivery: WebhookDelivery): DeliveryDetailView =>
  Object.assign(toDelivery(delivery), { lastResponse: delivery.lastResponse });
