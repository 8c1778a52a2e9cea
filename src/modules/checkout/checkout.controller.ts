import { Body, Controller, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Config } from '../../config.js';
import { Created } from '../../http/created.js';
import { Client, type ClientInfo, Public } from '../../http/decorators.js';
import { Answers } from '../../http/openapi.js';
import { toTokens } from '../auth/index.js';
import { toOrder } from '../orders/index.js';
import { CheckoutDto, CheckoutView } from './checkout.dto.js';
import { CheckoutService } from './checkout.service.js';

@ApiTags('Checkouts')
@Controller('checkouts')
export class CheckoutController {
  constructor(
    private readonly checkout: CheckoutService,
    private readonly config: Config,
  ) {}

  /** Order as a guest: registers the user and places the order, both or neither */
  @Post()
  @Public({ ignoresToken: true })
  @Answers(201, CheckoutView, { conflict: 'The email is taken, or there is not enough stock' })
  async checkOut(@Body() body: CheckoutDto, @Client() client: ClientInfo): Promise<Created<CheckoutView>> {
    const { tokens, order } = await this.checkout.checkOut(body.user, body.order, client);
    return new Created(`/orders/${order.id}`, Object.assign(toTokens(tokens, this.config), { order: toOrder(order) }));
  }
}
