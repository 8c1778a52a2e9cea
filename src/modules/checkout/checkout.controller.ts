import { Body, Controller, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Config } from '../../config.js';
import { Created } from '../../http/created.js';
import { Client, type ClientInfo, KeyedByEmail, LimitedBy, Public } from '../../http/decorators.js';
import { Answers } from '../../http/openapi.js';
import { toTokens } from '../auth/index.js';
import { toOrder } from '../orders/index.js';
import { CheckoutDto, CheckoutView } from './checkout.dto.js';
import { CheckoutService } from './checkout.service.js';

@ApiTags('Checkout')
@Controller('checkouts')
export class CheckoutController {
  constructor(
    private readonly checkout: CheckoutService,
    private readonly config: Config,
  ) {}

  /** Order as a guest: registers the user and places the order, both or neither */
  @Post()
  @Public({ ignoresToken: true })
  @LimitedBy('register')
  @KeyedByEmail((body) => (body.user as { email?: unknown } | undefined)?.email)
  @Answers(201, CheckoutView, {
    fails: ['EMAIL_TAKEN', 'INSUFFICIENT_STOCK', 'CURRENCY_MISMATCH'],
    conflict: 'The user has been erased since',
  })
  async checkOut(@Body() body: CheckoutDto, @Client() client: ClientInfo): Promise<Created<CheckoutView>> {
    const { tokens, order } = await this.checkout.checkOut(body.user, body.order, client);
    const view = Object.assign(toTokens(tokens, this.config), { order: toOrder(order) });
    const created = new Created<CheckoutView>(`/orders/${order.id}`, view);
    return created.withSecrets('accessToken', 'refreshToken').about(order.userId);
  }
}
