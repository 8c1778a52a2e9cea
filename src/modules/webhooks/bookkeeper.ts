import { Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../config.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Log } from '../../telemetry/logger.js';
import { MailService } from '../mail/index.js';
import { DeliveriesRepository, type Ending } from './deliveries.repository.js';
import { type Endpoint, WebhooksRepository } from './webhooks.repository.js';

/** An endpoint that has done nothing but fail for so long is not coming back by itself. */
const DEAD_AFTER_DAYS = 5;

/** What became of a delivery, and whether the endpoint has said that it is gone for good. */
export interface Result extends Ending, Endpoint {
  isGone: boolean;
}

interface SwitchOff extends Endpoint {
  reason: string;
}

/** Writes down what became of deliveries, and draws the conclusions for their endpoints. */
@Injectable()
export class Bookkeeper {
  constructor(
    private readonly webhooks: WebhooksRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly mail: MailService,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
    @Log() private readonly logger: Logger,
  ) {}

  async record(results: readonly Result[]): Promise<void> {
    const attempted = results.filter((result) => result.attempted);
    const succeeded = endpointsOf(attempted.filter(({ error }) => error === null));
    const failed = endpointsOf(attempted).filter((each) => !succeeded.some(isSame(each)));
    const gone = endpointsOf(results.filter(({ isGone }) => isGone));
    // That it has failed for long counts once one was tried for long: else the first failure after a quiet month would.
    const given = endpointsOf(attempted.filter(({ state }) => state === 'dead'));
    const switchedOff = await this.unitOfWork.run(async () => {
      // The endpoints before the deliveries, as whoever deletes one does: no deadlocks.
      if (attempted.length > 0) await this.webhooks.noteOutcomes(succeeded, failed);
      const dead = given.length > 0 ? await this.webhooks.findFailingFor(DEAD_AFTER_DAYS, given) : [];
      const done = await this.switchOff([
        ...gone.map((each) => ({ ...each, reason: 'It answered that it is gone (410)' })),
        ...dead.map((each) => ({ ...each, reason: `It has done nothing but fail for ${DEAD_AFTER_DAYS} days` })),
      ]);
      await this.deliveries.record(results);
      return done;
    });
    for (const { webhookId, reason } of switchedOff)
      this.logger.warn({ webhook: webhookId, reason }, 'Webhook disabled');
  }

  private async switchOff(all: readonly SwitchOff[]): Promise<SwitchOff[]> {
    const done: SwitchOff[] = [];
    for (const each of [...all].sort((a, b) => (a.webhookId < b.webhookId ? -1 : 1))) {
      const webhook = await this.webhooks.lockById(each.webhookId);
      if (webhook?.enabled !== true || webhook.url !== each.url) continue;
      webhook.switchOff();
      await this.webhooks.update(webhook.id, webhook);
      const to = this.config.adminEmail;
      if (to !== undefined) {
        await this.mail.send({
          to,
          template: 'webhook-disabled',
          // Not all of the URL: its path may be as good as a password.
          data: { url: new URL(webhook.url).origin, reason: `${each.reason} (webhook ${webhook.id})` },
        });
      }
      done.push(each);
    }
    return done;
  }
}

const isSame =
  (one: Endpoint) =>
  (other: Endpoint): boolean =>
    one.webhookId === other.webhookId && one.url === other.url;

/** Each once, in one order. */
function endpointsOf(results: readonly Result[]): Endpoint[] {
  const endpoints = new Map(results.map(({ webhookId, url }) => [`${webhookId} ${url}`, { webhookId, url }]));
  return [...endpoints].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, endpoint]) => endpoint);
}
