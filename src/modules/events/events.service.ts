import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import type { Page, PageRequest } from '../../database/paging.js';
import { purge } from '../../database/purge.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { Event, FeedEntry, FeedPosition } from './event.entity.js';
import type { EventType } from './event-types.js';
import { type EventFilters, EventsRepository } from './events.repository.js';

/** What happened, written with what made it happen, and read in an order in which nothing appears late. */
@Injectable()
export class EventsService implements OnModuleInit {
  constructor(
    private readonly events: EventsRepository,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.unitOfWork.run(() => this.events.moveOn());
  }

  /**
   * Writes down what happened, in the running unit of work: what is rolled back never happened.
   *
   * @param resource its `version` becomes the event's sequence, so each event of it needs a new one; what has none
   * never changes, and is at 1
   * @param data the resource as the API shows it
   */
  async record(type: EventType, resource: { id: string; version?: number }, data: object): Promise<void> {
    await this.recordAll(type, [{ resource, data }]);
  }

  /** The same of many resources at once. */
  async recordAll(
    type: EventType,
    changes: readonly { resource: { id: string; version?: number }; data: object }[],
  ): Promise<void> {
    const createdAt = new Date();
    await this.events.append(
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
   * Replaces some fields in the data of what has been recorded of these resources, where they must be forgotten. The events
   * stay, with their ids, types and order.
   */
  async redact(resourceIds: readonly string[], types: readonly EventType[], fields: object): Promise<void> {
    await this.events.overwrite(resourceIds, types, fields);
  }

  list(filters: EventFilters, page: PageRequest, caller: string): Promise<Page<Event>> {
    return this.events.findPage(filters, page, caller);
  }

  /**
   * The next events of the feed. Whoever goes on from the position of the last one misses none, however late a
   * transaction commits, and sees none twice.
   */
  after(position: FeedPosition | undefined, limit: number): Promise<FeedEntry[]> {
    return this.events.findAfter(position, limit);
  }

  /** What lies behind this position: how many events, of the first so many, and how old the first of them is. */
  backlog(position: FeedPosition, most: number): Promise<{ events: number; oldestSeconds: number }> {
    return this.events.backlog(position, most);
  }

  /** Those of these events that are still kept, in no order. */
  byIds(ids: readonly string[]): Promise<Event[]> {
    return this.events.findByIds(ids);
  }

  /**
   * Where the running unit of work stands in the feed, as the `transactionId` of an event: what begins once it has
   * committed is further on.
   */
  position(): Promise<number> {
    return this.events.ownTransactionId();
  }

  /** Forgets what is older than so many days. */
  purge(days: number): Promise<void> {
    return purge(days, (before, limit) => this.events.deleteOldest(before, limit));
  }
}
