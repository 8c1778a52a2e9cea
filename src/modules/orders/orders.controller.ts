import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers, Secured } from '../../http/openapi.js';
import { byVersion, IfMatch, Tagged } from '../../http/preconditions.js';
import type { Principal } from '../../permissions.js';
import type { VersionCheck } from '../../versions.js';
import {
  OrdersQuery,
  OrderView,
  PaymentView,
  PayOrderDto,
  PlaceOrderDto,
  toOrder,
  toPayment,
  UpdateOrderDto,
} from './orders.dto.js';
import { OrdersService } from './orders.service.js';

@ApiTags('Orders')
@Secured()
@Controller()
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  /** Place an order */
  @Post('orders')
  @Tagged(byVersion)
  @Answers(201, OrderView, { fails: ['INSUFFICIENT_STOCK'] })
  async place(@Body() body: PlaceOrderDto, @CurrentUser() user: Principal): Promise<Created<OrderView>> {
    const order = await this.orders.place(user.id, body);
    return new Created(`/orders/${order.id}`, toOrder(order));
  }

  /**
   * List orders
   * @remarks Yours, or everybody's for moderators
   */
  @Get('orders')
  @Answers(200, [OrderView])
  async list(@Query() query: OrdersQuery, @CurrentUser() user: Principal): Promise<Page<OrderView>> {
    const page = await this.orders.list(filtersOf(query), query, user);
    return page.map(toOrder);
  }

  /** Get an order */
  @Get('orders/:id')
  @ApiId()
  @Tagged(byVersion)
  @Answers(200, OrderView)
  async get(@Id() id: string, @CurrentUser() user: Principal): Promise<OrderView> {
    return toOrder(await this.orders.get(id, user));
  }

  /** Change the note or metadata of a pending order */
  @Patch('orders/:id')
  @ApiId()
  @Tagged(byVersion)
  @Answers(200, OrderView, { conflict: 'The order is no longer pending' })
  async update(
    @Id() id: string,
    @Body() body: UpdateOrderDto,
    @CurrentUser() user: Principal,
    @IfMatch() check: VersionCheck,
  ): Promise<OrderView> {
    return toOrder(await this.orders.update(id, body, user, check));
  }

  /** Pay an order */
  @Post('orders/:id/payments')
  @ApiId()
  @Answers(201, PaymentView, { fails: ['INVALID_TRANSITION', 'INSUFFICIENT_FUNDS', 'CURRENCY_MISMATCH'] })
  async pay(
    @Id() id: string,
    @Body() body: PayOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<PaymentView>> {
    const payment = await this.orders.pay(id, body.accountId, user);
    return new Created(`/orders/${id}`, toPayment(payment));
  }

  /** List a user's orders */
  @Get('users/:id/orders')
  @ApiId()
  @Answers(200, [OrderView])
  async listOfUser(
    @Id() id: string,
    @Query() query: OrdersQuery,
    @CurrentUser() user: Principal,
  ): Promise<Page<OrderView>> {
    const page = await this.orders.listOf(id, filtersOf(query), query, user);
    return page.map(toOrder);
  }

  /** Place an order for a user */
  @Post('users/:id/orders')
  @ApiId()
  @Tagged(byVersion)
  @Answers(201, OrderView, { fails: ['INSUFFICIENT_STOCK'] })
  async placeForUser(
    @Id() id: string,
    @Body() body: PlaceOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<OrderView>> {
    const order = await this.orders.placeFor(id, body, user);
    return new Created(`/orders/${order.id}`, toOrder(order));
  }
}
