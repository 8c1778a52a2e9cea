import { Injectable } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { EventsRepository } from './events.repository.js';

export type EventType =
  | `user.${'created' | 'updated' | 'deleted'}`
  | 'session.reuse_detected'
  | `product.${'created' | 'updated' | 'deleted' | 'stock_adjusted'}`
  | `order.${'created' | 'updated' | 'paid' | 'cancelled' | 'shipped' | 'delivered' | 'refunded'}`
  | 'transfer.created';

@Injectable()
export class EventsService {
  constructor(private readonly events: EventsRepository) {}

  /**
   * Writes down what happened, in the running unit of work: what is rolled back never happened.
   *
   * @param resource its `version` becomes the event's sequence; what has none never changes, and is at 1
   * @param data the resource as the API shows it
   */
  async record(type: EventType, resource: { id: string; version?: number }, data: object): Promise<void> {
    await this.events.append({
      id: uuid(),
      type,
      resourceId: resource.id,
      sequence: resource.version ?? 1,
      data,
      createdAt: new Date(),
    });
  }

  /** The same of many resources at once. */
  async recordAll(
    type: EventType,
    changes: readonly { resource: { id: string; version?: number }; data: object }[],
  ): Promise<void> {
    const createdAt = new Date();
    await this.events.appendAll(
      changes.map(({ resource: { id, version = 1 }, data }) => ({
        id: uuid(),
        type,
        resourceId: id,
        sequence: version,
        data,
        createdAt,
      })),
    );
  }

  /**
   * Replaces some fields in the data of what has been recorded of a resource, where they must be forgotten. The events
   * stay, with their ids, types and order.
   */
  async redact(resourceId: string, types: readonly EventType[], fields: object): Promise<void> {
    await this.events.overwrite(resourceId, types, fields);
  }
}
