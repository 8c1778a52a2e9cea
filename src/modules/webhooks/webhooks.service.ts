import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import type { Page, PageRequest } from '../../database/paging.js';
import { purge } from '../../database/purge.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { Principal } from '../../permissions.js';
import { anyVersion, type VersionCheck } from '../../stale-version.js';
import { SecretBox } from '../../secret-box.js';
import { EventsService } from '../events/index.js';
import { Addresses, parseUrl } from './addresses.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { type DeliveryState, PING, type WebhookDelivery } from './delivery.entity.js';
import { makeSecret } from './signature.js';
import { type NewWebhook, Webhook, type WebhookChanges } from './webhook.entity.js';
import { DeliveryNotFound, WebhookDisabled, WebhookNotFound } from './webhooks.errors.js';
import { WebhooksRepository } from './webhooks.repository.js';

const KEPT_DAYS = 30;

@Injectable()
export class WebhooksService implements OnModuleInit {
  constructor(
    private readonly webhooks: WebhooksRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly events: EventsService,
    private readonly addresses: Addresses,
    private readonly box: SecretBox,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * Where the data was put back from a dump, PostgreSQL counts its transactions anew: a webhook that was the last thing before
   * the dump would wait for a number that is long in coming, and miss all events until then.
   */
  onModuleInit(): Promise<void> {
    return this.unitOfWork.run(async () => {
      await this.webhooks.beginAt(await this.events.position());
    });
  }

  list(page: PageRequest, by: Principal): Promise<Page<Webhook>> {
    return this.webhooks.findPage(page, by.id);
  }

  /** @throws WebhookNotFound */
  async get(id: string): Promise<Webhook> {
    const webhook = await this.webhooks.findById(id);
    if (webhook === null) throw new WebhookNotFound();
    return webhook;
  }

  /**
   * Registers an endpoint. It is told of what begins from now on, and of nothing before.
   *
   * @returns the secret too, which nobody can ask for again
   * @throws RefusedUrl
   */
  async create(given: NewWebhook): Promise<{ webhook: Webhook; secret: string }> {
    await this.assertReachable(given.url);
    const [id, plain] = [uuid(), makeSecret()];
    const secret = this.box.seal(plain, id);
    const webhook = await this.unitOfWork.run(async () => {
      const beginsAfter = await this.events.position();
      return this.webhooks.create(Webhook.register(given, { id, secret, beginsAfter }));
    });
    return { webhook, secret: plain };
  }

  /** What is left out goes back to what it is in a new webhook; the secret stays. @throws WebhookNotFound, StaleVersion, RefusedUrl */
  replace(
    id: string,
    { description = '', enabled = true, ...given }: NewWebhook,
    check?: VersionCheck,
  ): Promise<Webhook> {
    return this.update(id, { ...given, description, enabled }, check);
  }

  /** @throws WebhookNotFound, StaleVersion, RefusedUrl */
  async update(id: string, changes: WebhookChanges, check: VersionCheck = anyVersion): Promise<Webhook> {
    if (changes.url !== undefined) await this.assertReachable(changes.url);
    return this.change(id, (webhook) => {
      check(webhook.version);
      webhook.revise(changes);
    });
  }

  /** With its deliveries. @throws WebhookNotFound, StaleVersion */
  delete(id: string, check: VersionCheck = anyVersion): Promise<void> {
    return this.unitOfWork.run(async () => {
      check((await this.lock(id)).version);
      await this.webhooks.delete(id);
    });
  }

  /** Makes a new secret; the old one signs too for a day. @throws WebhookNotFound */
  async rotateSecret(id: string): Promise<{ webhook: Webhook; secret: string }> {
    const secret = makeSecret();
    const sealed = this.box.seal(secret, id);
    return { webhook: await this.change(id, (webhook) => webhook.rotate(sealed)), secret };
  }

  /** @throws WebhookNotFound */
  async listDeliveries(
    id: string,
    state: DeliveryState | undefined,
    page: PageRequest,
    by: Principal,
  ): Promise<Page<WebhookDelivery>> {
    await this.get(id);
    return this.deliveries.findPage(id, state, page, by.id);
  }

  /** With what the receiver answered. @throws DeliveryNotFound */
  async getDelivery(id: string, deliveryId: string): Promise<WebhookDelivery> {
    const delivery = await this.deliveries.findWhole(deliveryId, id);
    if (delivery === null) throw new DeliveryNotFound();
    return delivery;
  }

  /**
   * Sends a delivery again, whatever became of it, with all its attempts before it.
   *
   * @throws WebhookNotFound, WebhookDisabled, DeliveryNotFound
   */
  retry(id: string, deliveryId: string): Promise<WebhookDelivery> {
    return this.unitOfWork.run(async () => {
      await this.getEnabled(id);
      await this.deliveries.restart(deliveryId, id);
      return this.getDelivery(id, deliveryId);
    });
  }

  /** Sends a `ping`, so that somebody can see whether the endpoint works. @throws WebhookNotFound, WebhookDisabled */
  test(id: string): Promise<WebhookDelivery> {
    return this.unitOfWork.run(async () => {
      await this.getEnabled(id);
      const [deliveryId = ''] = await this.deliveries.add([{ webhookId: id, eventId: uuid(), eventType: PING }], 0);
      return this.getDelivery(id, deliveryId);
    });
  }

  /** Seals anew what was sealed with a key of the past, so that it can be given up. */
  async resealSecrets(): Promise<void> {
    const stale = (await this.webhooks.findMany()).filter((webhook) =>
      webhook.signingSecrets().some((sealed) => !this.box.isCurrent(sealed)),
    );
    for (const { id } of stale) {
      await this.unitOfWork.run(async () => {
        const webhook = await this.webhooks.lockById(id);
        if (webhook === null) return;
        const reseal = (sealed: string): string => this.box.seal(this.box.open(sealed, id), id);
        if (webhook.signingSecrets().every((sealed) => this.box.knows(sealed))) {
          webhook.reseal(reseal);
          await this.webhooks.update(id, webhook);
        }
      });
    }
  }

  /** Forgets the deliveries of more than 30 days ago. */
  purgeDeliveries(): Promise<void> {
    return purge(KEPT_DAYS, (before, limit) => this.deliveries.deleteOldest(before, limit));
  }

  private change(id: string, how: (webhook: Webhook) => void): Promise<Webhook> {
    return this.unitOfWork.run(async () => {
      const webhook = await this.lock(id);
      how(webhook);
      await this.webhooks.update(id, webhook);
      return webhook;
    });
  }

  private async lock(id: string): Promise<Webhook> {
    const webhook = await this.webhooks.lockById(id);
    if (webhook === null) throw new WebhookNotFound();
    return webhook;
  }

  private async getEnabled(id: string): Promise<void> {
    if (!(await this.get(id)).enabled) throw new WebhookDisabled();
  }

  /** Before any transaction: it asks name servers. */
  private async assertReachable(url: string): Promise<void> {
    await this.addresses.resolve(parseUrl(url));
  }
}
