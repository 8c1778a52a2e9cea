import { Module } from '@nestjs/common';
import { Config } from '../../config.js';
import { SecretBox } from '../../secret-box.js';
import { secretsOf } from '../../signing-keys.js';
import { EventsModule } from '../events/index.js';
import { JobsModule } from '../jobs/index.js';
import { MailModule } from '../mail/index.js';
import { Addresses } from './addresses.js';
import { Bookkeeper } from './bookkeeper.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { Dispatcher } from './dispatcher.js';
import { Sender } from './sender.js';
import { Transport } from './transport.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksJobs } from './webhooks.jobs.js';
import { WebhooksRepository } from './webhooks.repository.js';
import { WebhooksService } from './webhooks.service.js';

@Module({
  imports: [EventsModule, JobsModule, MailModule],
  controllers: [WebhooksController],
  providers: [
    WebhooksService,
    WebhooksJobs,
    Dispatcher,
    Sender,
    Bookkeeper,
    Transport,
    Addresses,
    WebhooksRepository,
    DeliveriesRepository,
    {
      provide: SecretBox,
      useFactory: (config: Config) => new SecretBox('stoa webhook secrets', sealingKeys(config)),
      inject: [Config],
    },
  ],
})
export class WebhooksModule {}

/** What secrets are, or have been, sealed with: the key of its own where there is one, and the signing keys. */
function sealingKeys(config: Config): [string | Buffer, ...Buffer[]] {
  const { webhookSecretKey } = config;
  return webhookSecretKey === undefined ? secretsOf(config) : [webhookSecretKey, ...secretsOf(config)];
}
