import { Injectable } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { type DeliveryState, WebhookDelivery } from './delivery.entity.js';

const LIST: ListDefinition<WebhookDelivery> = {
  name: 'webhook deliveries',
  sortKeys: { createdAt: { sql: 'delivery.createdAt', type: 'timestamptz', of: (delivery) => delivery.createdAt } },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

export type NewDelivery = Pick<WebhookDelivery, 'webhookId' | 'eventId' | 'eventType'>;

/** A delivery that this process, and no other, is to send now. */
export type Claimed = Pick<WebhookDelivery, 'id' | 'webhookId' | 'eventId' | 'eventType' | 'attempts' | 'createdAt'> & {
  lease: Date;
  /** Since when it has been due, in milliseconds. */
  overdueMs: number;
};

/** What has become of a claimed delivery. */
export interface Ending {
  id: string;
  lease: Date;
  state: DeliveryState;
  /** Whether there was an attempt at all: without one only the state and, where it is dead, the reason are written. */
  attempted: boolean;
  attempts: number;
  status: number | null;
  error: string | null;
  response: string | null;
  waitMs: number | null;
}

export interface ClaimLimits {
  /** How many this process is sending already, by endpoint. */
  busy: ReadonlyMap<string, number>;
  /** To one endpoint at once, and to one that fails. */
  perEndpoint: number;
  perFailing: number;
  /** In all, now. */
  total: number;
  leaseMs: number;
}

@Injectable()
export class DeliveriesRepository extends Repository<WebhookDelivery> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, WebhookDelivery);
  }

  async findPage(
    webhookId: string,
    state: DeliveryState | undefined,
    request: PageRequest,
    caller: string,
  ): Promise<Page<WebhookDelivery>> {
    const query = (await this.manager())
      .createQueryBuilder(WebhookDelivery, 'delivery')
      .where('delivery.webhookId = :webhookId', { webhookId });
    if (state !== undefined) query.andWhere('delivery.state = :state', { state });
    return this.pager.page(query, LIST, request, [webhookId, state ?? null, caller]);
  }

  /** With what the receiver answered. */
  async findWhole(id: string, webhookId: string): Promise<WebhookDelivery | null> {
    return (await this.manager())
      .createQueryBuilder(WebhookDelivery, 'delivery')
      .addSelect('delivery.lastResponse')
      .where('delivery.id = :id AND delivery.webhookId = :webhookId', { id, webhookId })
      .getOne();
  }

  /** @param waitMs how long from now the first attempt is due. @returns the ids */
  async add(deliveries: readonly NewDelivery[], waitMs: number): Promise<string[]> {
    const ids = deliveries.map(() => uuid());
    await this.query(
      `INSERT INTO webhook_deliveries
         (id, webhook_id, event_id, event_type, state, attempts, next_attempt_at, created_at)
       SELECT id, webhook_id, event_id, event_type, 'pending', 0, now() + $5 * interval '1 ms', now()
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) AS new (id, webhook_id, event_id, event_type)
       ON CONFLICT ON CONSTRAINT webhook_deliveries_webhook_id_event_id_key DO NOTHING`,
      [
        ids,
        deliveries.map(({ webhookId }) => webhookId),
        deliveries.map(({ eventId }) => eventId),
        deliveries.map(({ eventType }) => eventType),
        waitMs,
      ],
    );
    return ids;
  }

  /** Due at once, with all its attempts before it. Whoever is just sending it has no say in it any more. */
  async restart(id: string, webhookId: string): Promise<void> {
    await this.query(
      `UPDATE webhook_deliveries
          SET state = 'pending', attempts = 0, next_attempt_at = now(), leased_until = NULL
        WHERE id = $1 AND webhook_id = $2`,
      [id, webhookId],
    );
  }

  /**
   * Takes what is due, for as long as the lease: of each endpoint only so many, so that none takes all. A process that
   * does not say in time what has become of one has lost it, and somebody else takes it.
   */
  async claim({ busy, perEndpoint, perFailing, total, leaseMs }: ClaimLimits): Promise<Claimed[]> {
    return this.query<Claimed>(
      `WITH due AS (
         SELECT next.id
           FROM webhooks AS webhook
           LEFT JOIN unnest($1::uuid[], $2::integer[]) AS busy (id, sends) ON busy.id = webhook.id
          CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
             WHERE webhook_id = webhook.id AND state = 'pending' AND next_attempt_at <= now()
               AND (leased_until IS NULL OR leased_until <= now())
             ORDER BY next_attempt_at, id
             LIMIT greatest(0, CASE WHEN webhook.failing_since IS NULL THEN $3::integer ELSE $4::integer END
                               - coalesce(busy.sends, 0))
               FOR UPDATE SKIP LOCKED
          ) AS next
          LIMIT $5
       )
       UPDATE webhook_deliveries AS delivery SET leased_until = now() + $6 * interval '1 ms'
         FROM due WHERE delivery.id = due.id
       RETURNING delivery.id, webhook_id AS "webhookId", event_id AS "eventId", event_type AS "eventType", attempts,
                 created_at AS "createdAt", leased_until AS lease,
                 extract(epoch FROM now() - next_attempt_at)::float8 * 1000 AS "overdueMs"`,
      [[...busy.keys()], [...busy.values()], perEndpoint, perFailing, total, leaseMs],
    );
  }

  /** Writes down what became of what was claimed. One whose lease somebody else has by now is theirs to tell of. */
  async record(endings: readonly Ending[]): Promise<void> {
    await this.query(
      `UPDATE webhook_deliveries AS delivery
          SET state = ending.state,
              attempts = ending.attempts,
              last_status = CASE WHEN ending.attempted THEN ending.status ELSE last_status END,
              last_error = CASE WHEN ending.attempted OR ending.state = 'dead' THEN ending.error ELSE last_error END,
              last_response = CASE WHEN ending.attempted THEN ending.response ELSE last_response END,
              next_attempt_at = CASE WHEN ending.state <> 'pending' THEN NULL
                                     WHEN ending.attempted THEN now() + ending."waitMs" * interval '1 ms'
                                     ELSE next_attempt_at END,
              leased_until = NULL
         FROM jsonb_to_recordset($1::jsonb) AS ending (id uuid, lease timestamptz, state text, attempted boolean,
              attempts integer, status integer, error text, response text, "waitMs" float8)
        WHERE delivery.id = ending.id AND delivery.leased_until = ending.lease`,
      [JSON.stringify(endings)],
    );
  }

  /** @param before ids bear the time at which they were made */
  async deleteOldest(before: string, limit: number): Promise<number> {
    const rows = await this.query(
      `DELETE FROM webhook_deliveries WHERE id IN (
         SELECT id FROM webhook_deliveries WHERE id < $1 AND state <> 'pending' ORDER BY id LIMIT $2) RETURNING id`,
      [before, limit],
    );
    return rows.length;
  }
}
