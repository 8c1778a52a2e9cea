import { Injectable } from '@nestjs/common';
import { Config } from '../../config.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { EventsService, type FeedPosition } from '../events/index.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { Sender } from './sender.js';
import { WebhooksRepository } from './webhooks.repository.js';

const BATCH = 500;

/** Follows the feed of events, and leaves a delivery for each endpoint that wants to be told. */
@Injectable()
export class Dispatcher {
  /** Where the cursor was when last seen here. It may be further by now, and never back. */
  private position: FeedPosition | undefined;

  constructor(
    private readonly webhooks: WebhooksRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly events: EventsService,
    private readonly sender: Sender,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {}

  /** One query where there is nothing new. Safe in any number of processes at once. */
  async dispatch(): Promise<void> {
    try {
      const isNews = this.position === undefined || (await this.events.after(this.position, 1)).length > 0;
      for (let found = isNews ? BATCH : 0; found === BATCH;) {
        const { position, events } = await this.unitOfWork.run(() => this.next());
        // Known only now that it is committed.
        this.position = position ?? this.position;
        found = events;
        if (found > 0) await this.sender.pump();
      }
    } catch (error) {
      // Whatever database answers next, it may be one that has not come as far.
      this.position = undefined;
      throw error;
    }
  }

  /** The deliveries and the cursor move together: a crash repeats both or none. */
  private async next(): Promise<{ position?: FeedPosition; events: number }> {
    const cursor = await this.webhooks.lockCursor();
    if (cursor === undefined) return { events: 0 };
    const events = await this.events.after(cursor, BATCH);
    const last = events.at(-1);
    if (last === undefined) return { position: cursor, events: 0 };

    // After the events: whoever made an endpoint before any of them has committed by now.
    const webhooks = await this.webhooks.findEnabled();
    const deliveries = events.flatMap((event) =>
      webhooks
        .filter((webhook) => webhook.wants(event))
        .map(({ id }) => ({ webhookId: id, eventId: event.id, eventType: event.type })),
    );
    if (deliveries.length > 0) {
      await this.deliveries.add(deliveries, (this.config.webhookRetrySchedule[0] ?? 0) * 1000);
    }
    await this.webhooks.moveCursor(last);
    return { position: last, events: events.length };
  }
}
