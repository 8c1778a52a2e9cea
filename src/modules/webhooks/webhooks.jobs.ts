import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Metrics, type Sample } from '../../telemetry/metrics.js';
import { EventsService } from '../events/index.js';
import { JobsService } from '../jobs/index.js';
import { Dispatcher } from './dispatcher.js';
import { Sender } from './sender.js';
import { WebhooksRepository } from './webhooks.repository.js';
import { WebhooksService } from './webhooks.service.js';

const EVERY_MS = 500;
/** Past so many it matters no more how many there are, and counting them costs. */
const MOST_COUNTED = 1000;

/** From the event to the receiver, and the tidying up at night. Safe in any number of processes at once. */
@Injectable()
export class WebhooksJobs implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly dispatcher: Dispatcher,
    private readonly sender: Sender,
    private readonly webhooks: WebhooksService,
    private readonly repository: WebhooksRepository,
    private readonly events: EventsService,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    this.jobs.repeat('webhooks.dispatch', EVERY_MS, () => this.dispatcher.dispatch());
    this.jobs.repeat('webhooks.send', EVERY_MS, () => this.sender.pump());
    this.jobs.schedule('webhooks.clean', '23 3 * * *', async () => {
      await this.webhooks.resealSecrets();
      await this.webhooks.purgeDeliveries();
    });
    this.metrics.gaugesOf(
      {
        stoa_outbox_events: { help: `Events that have not been turned into deliveries; counted up to ${MOST_COUNTED}` },
        stoa_outbox_oldest_age_seconds: { help: 'How old the first of them is' },
        stoa_webhook_deliveries_due: {
          help: `Deliveries that are due; counted up to ${MOST_COUNTED} of each endpoint`,
        },
        stoa_webhook_deliveries_oldest_due_age_seconds: { help: 'How long the first of them has been due' },
      },
      () => this.measure(),
    );
  }

  private async measure(): Promise<Sample[]> {
    const { cursor, due, oldestDueSeconds } = await this.repository.backlog(MOST_COUNTED);
    const { events, oldestSeconds } = await this.events.backlog(cursor, MOST_COUNTED);
    return [
      { name: 'stoa_outbox_events', value: events },
      { name: 'stoa_outbox_oldest_age_seconds', value: oldestSeconds },
      { name: 'stoa_webhook_deliveries_due', value: due },
      { name: 'stoa_webhook_deliveries_oldest_due_age_seconds', value: oldestDueSeconds },
    ];
  }
}
