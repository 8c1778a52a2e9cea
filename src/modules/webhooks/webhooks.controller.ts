import { Body, Controller, Delete, Get, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id, Requires } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import { byVersion, IfMatch, Tagged } from '../../http/preconditions.js';
import type { Principal } from '../../permissions.js';
import type { VersionCheck } from '../../stale-version.js';
import {
  CreateWebhookDto,
  DeliveriesQuery,
  DeliveryDetailView,
  DeliveryView,
  ReplaceWebhookDto,
  toDelivery,
  toDeliveryDetail,
  toWebhook,
  toWebhookWithSecret,
  UpdateWebhookDto,
  WebhooksQuery,
  WebhookView,
  WebhookWithSecretView,
} from './webhooks.dto.js';
import { WebhooksService } from './webhooks.service.js';

@ApiTags('Webhooks')
@Requires('admin')
@Controller('webhooks')
export class WebhooksController {
  constructor(private readonly webhooks: WebhooksService) {}

  /** List webhooks */
  @Get()
  @Answers(200, [WebhookView])
  async list(@Query() query: WebhooksQuery, @CurrentUser() user: Principal): Promise<Page<WebhookView>> {
    const page = await this.webhooks.list(query, user);
    return page.map(toWebhook);
  }

  /** Register a webhook: the answer shows its secret, once */
  @Post()
  @Tagged(byVersion)
  @Answers(201, WebhookWithSecretView)
  async create(@Body() body: CreateWebhookDto): Promise<Created<WebhookWithSecretView>> {
    const { webhook, secret } = await this.webhooks.create(body);
    return new Created(`/webhooks/${webhook.id}`, toWebhookWithSecret(webhook, secret)).withSecrets('secret');
  }

  /** Get a webhook */
  @Get(':id')
  @ApiId()
  @Tagged(byVersion)
  @Answers(200, WebhookView)
  async get(@Id() id: string): Promise<WebhookView> {
    return toWebhook(await this.webhooks.get(id));
  }

  /** Replace a webhook, apart from its secret */
  @Put(':id')
  @ApiId()
  @Tagged(byVersion)
  @Answers(200, WebhookView)
  async replace(
    @Id() id: string,
    @Body() body: ReplaceWebhookDto,
    @IfMatch() check: VersionCheck,
  ): Promise<WebhookView> {
    return toWebhook(await this.webhooks.replace(id, body, check));
  }

  /** Change a webhook, or switch it on or off */
  @Patch(':id')
  @ApiId()
  @Tagged(byVersion)
  @Answers(200, WebhookView)
  async update(@Id() id: string, @Body() body: UpdateWebhookDto, @IfMatch() check: VersionCheck): Promise<WebhookView> {
    return toWebhook(await this.webhooks.update(id, body, check));
  }

  /** Delete a webhook, with its deliveries */
  @Delete(':id')
  @ApiId()
  @Answers(204, null)
  async delete(@Id() id: string, @IfMatch() check: VersionCheck): Promise<void> {
    await this.webhooks.delete(id, check);
  }

  /** Make a new secret, which the answer shows once; the old one signs too for 24 hours */
  @Post(':id/secret-rotations')
  @ApiId()
  @Tagged(byVersion)
  @Answers(201, WebhookWithSecretView, { operationId: 'rotateWebhookSecret' })
  async rotateSecret(@Id() id: string): Promise<Created<WebhookWithSecretView>> {
    const { webhook, secret } = await this.webhooks.rotateSecret(id);
    return new Created(`/webhooks/${id}`, toWebhookWithSecret(webhook, secret)).withSecrets('secret');
  }

  /** Send a `ping` to try it out */
  @Post(':id/tests')
  @ApiId()
  @Answers(202, DeliveryView, { conflict: 'The webhook is disabled' })
  async test(@Id() id: string): Promise<DeliveryView> {
    return toDelivery(await this.webhooks.test(id));
  }

  /** List the deliveries of a webhook, the newest first; they are kept for 30 days */
  @Get(':id/deliveries')
  @ApiId()
  @Answers(200, [DeliveryView], { operationId: 'listWebhookDeliveries' })
  async listDeliveries(
    @Id() id: string,
    @Query() query: DeliveriesQuery,
    @CurrentUser() user: Principal,
  ): Promise<Page<DeliveryView>> {
    const page = await this.webhooks.listDeliveries(id, filtersOf(query).state, query, user);
    return page.map(toDelivery);
  }

  /** Get a delivery, with what the receiver answered */
  @Get(':id/deliveries/:deliveryId')
  @ApiId()
  @ApiId('deliveryId')
  @Answers(200, DeliveryDetailView, { operationId: 'getWebhookDelivery' })
  async getDelivery(@Id() id: string, @Id('deliveryId') deliveryId: string): Promise<DeliveryDetailView> {
    return toDeliveryDetail(await this.webhooks.getDelivery(id, deliveryId));
  }

  /** Send a delivery again, at once and with all its attempts before it */
  @Post(':id/deliveries/:deliveryId/retries')
  @ApiId()
  @ApiId('deliveryId')
  @Answers(202, DeliveryView, { conflict: 'The webhook is disabled', operationId: 'retryWebhookDelivery' })
  async retry(@Id() id: string, @Id('deliveryId') deliveryId: string): Promise<DeliveryView> {
    return toDelivery(await this.webhooks.retry(id, deliveryId));
  }
}
