import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { FeedPosition } from '../events/index.js';
import { Webhook } from './webhook.entity.js';

/** A webhook, as long as it leads there. */
export interface Endpoint {
  webhookId: string;
  url: string;
}

const LIST: ListDefinition<Webhook> = {
  name: 'webhooks',
  sortKeys: { createdAt: { sql: 'webhook.createdAt', type: 'timestamptz', of: (webhook) => webhook.createdAt } },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

@Injectable()
export class WebhooksRepository extends Repository<Webhook> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Webhook);
  }

  async findPage(request: PageRequest, caller: string): Promise<Page<Webhook>> {
    const query = (await this.manager()).createQueryBuilder(Webhook, 'webhook');
    return this.pager.page(query, LIST, request, [caller]);
  }

  findByIds(ids: readonly string[]): Promise<Webhook[]> {
    return this.findMany({ where: { id: In([...ids]) } });
  }

  /** Lets those begin at this place of the feed that would begin further on. */
  async beginAt(position: number): Promise<void> {
    await this.query('UPDATE webhooks SET begins_after = $1 WHERE begins_after > $1', [position]);
  }

  /** Those that are switched on, none of which is deleted before the end of the unit of work. */
  async findEnabled(): Promise<Webhook[]> {
    return (await this.manager())
      .createQueryBuilder(Webhook, 'webhook')
      .where('webhook.enabled')
      .orderBy('webhook.id')
      .setLock('for_key_share')
      .getMany();
  }

  /** How far the feed has been followed, and what is due, of each endpoint the first so many. */
  async backlog(most: number): Promise<{ cursor: FeedPosition; due: number; oldestDueSeconds: number }> {
    const [row] = await this.query<FeedPosition & { due: number; oldestDueSeconds: number }>(
      `SELECT cursor.transaction_id AS "transactionId", cursor.event_id AS id, late.*
         FROM webhook_cursor AS cursor, (
           SELECT count(*) AS due,
                  coalesce(extract(epoch FROM now() - min(delivery.next_attempt_at)), 0)::float8 AS "oldestDueSeconds"
             FROM webhooks AS webhook CROSS JOIN LATERAL (
               SELECT next_attempt_at FROM webhook_deliveries
                WHERE webhook_id = webhook.id AND state = 'pending' AND next_attempt_at <= now()
                ORDER BY next_attempt_at LIMIT $1
             ) AS delivery
         ) AS late`,
      [most],
    );
    if (row === undefined) throw new Error('The cursor of the webhooks has lost its row');
    const { transactionId, id, due, oldestDueSeconds } = row;
    return { cursor: { transactionId, id }, due, oldestDueSeconds };
  }

  /** How far the feed has been followed; `undefined` while another process holds it. */
  async lockCursor(): Promise<FeedPosition | undefined> {
    const [cursor] = await this.query<FeedPosition>(
      `SELECT transaction_id AS "transactionId", event_id AS id FROM webhook_cursor FOR UPDATE SKIP LOCKED`,
    );
    return cursor;
  }

  async moveCursor({ transactionId, id }: FeedPosition): Promise<void> {
    await this.query(`UPDATE webhook_cursor SET transaction_id = $1, event_id = $2`, [transactionId, id]);
  }

  /** Notes since when an endpoint has done nothing but fail. Not a change that anybody made: the version stays. */
  async noteOutcomes(succeeded: readonly Endpoint[], failed: readonly Endpoint[]): Promise<void> {
    await this.query(
      `UPDATE webhooks SET failing_since = NULL WHERE ${AMONG} AND failing_since IS NOT NULL`,
      columnsOf(succeeded),
    );
    await this.query(
      `UPDATE webhooks SET failing_since = now() WHERE ${AMONG} AND failing_since IS NULL`,
      columnsOf(failed),
    );
  }

  /** Of these, those that are switched on and have done nothing but fail for so many days. */
  findFailingFor(days: number, endpoints: readonly Endpoint[]): Promise<Endpoint[]> {
    return this.query(
      `SELECT id AS "webhookId", url FROM webhooks
        WHERE ${AMONG} AND enabled AND failing_since < now() - $3 * interval '1 day'`,
      [...columnsOf(endpoints), days],
    );
  }
}

const AMONG = '(id, url) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))';
const columnsOf = (endpoints: readonly Endpoint[]): [ids: string[], urls: string[]] => [
  endpoints.map(({ webhookId }) => webhookId),
  endpoints.map(({ url }) => url),
];
