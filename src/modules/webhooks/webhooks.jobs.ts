import { Injectable, type OnModuleInit } from '@nestjs/common';
import { JobsService } from '../jobs/index.js';
import { Dispatcher } from './dispatcher.js';
import { Sender } from './sender.js';
import { WebhooksService } from './webhooks.service.js';

const EVERY_MS = 500;

/** From the event to the receiver, and the tidying up at night. Safe in any number of processes at once. */
@Injectable()
export class WebhooksJobs implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly dispatcher: Dispatcher,
    private readonly sender: Sender,
    private readonly webhooks: WebhooksService,
  ) {}

  onModuleInit(): void {
    this.jobs.repeat('webhooks.dispatch', EVERY_MS, () => this.dispatcher.dispatch());
    this.jobs.repeat('webhooks.send', EVERY_MS, () => this.sender.pump());
    this.jobs.schedule('webhooks.clean', '23 3 * * *', async () => {
      await this.webhooks.resealSecrets();
      await this.webhooks.purgeDeliveries();
    });
  }
}
