import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { JsonView } from '../../database/json-view.js';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id, Requires } from '../../http/decorators.js';
import { Key, type KeyFor, SharesTransaction } from '../../http/idempotency.interceptor.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import { byVersion, IfMatch, Tagged } from '../../http/preconditions.js';
import type { Principal } from '../../permissions.js';
import type { VersionCheck } from '../../stale-version.js';
import { FulfilmentService } from './fulfilment.service.js';
import type { Order } from './order.entity.js';
import {
  CancelOrderDto,
  DeliverOrderDto,
  HistoryQuery,
  ListedOrderView,
  OrdersQuery,
  OrderView,
  PaymentView,
  PayOrderDto,
  PlaceOrderDto,
  RefundOrderDto,
  ShipOrderDto,
  StatusChangeView,
  toListedOrder,
  toOrder,
  toPayment,
  toStatusChange,
  UpdateOrderDto,
} from './orders.dto.js';
import { OrdersService } from './orders.service.js';
import { PaymentsService } from './payments.service.js';
import { PlacingService } from './placing.service.js';
import type { ShownOrder } from './shown-orders.js';

@ApiTags('Orders')
@Controller()
export class OrdersController {
  constructor(
    private readonly orders: OrdersService,
    private readonly placing: PlacingService,
    private readonly payments: PaymentsService,
    private readonly fulfilment: FulfilmentService,
  ) {}

  /** Place an order */
  @Post('orders')
  @SharesTransaction()
  @Tagged(byVersion)
  @Answers(201, OrderView, { fails: ['INSUFFICIENT_STOCK', 'CURRENCY_MISMATCH'] })
  async place(
    @Body() body: PlaceOrderDto,
    @CurrentUser() user: Principal,
    @Key() key: KeyFor,
  ): Promise<Created<OrderView>> {
    return withOrder(await this.placing.place(user.id, body, user.id, key(withOrder)));
  }

  /**
   * List orders
   * @remarks Yours, or everybody's for moderators
   */
  @Get('orders')
  @Answers(200, [ListedOrderView])
  async list(@Query() query: OrdersQuery, @CurrentUser() user: Principal): Promise<Page<JsonView | ListedOrderView>> {
    const { include, ...filters } = filtersOf(query);
    const page = await this.orders.list(filters, query, user);
    return this.show(page, include, user);
  }

  /** Get an order */
  @Get('orders/:id')
  @ApiId()
  @Tagged(byVersion)
  @Answers(200, OrderView)
  get(@Id() id: string, @CurrentUser() user: Principal): Promise<JsonView> {
    return this.orders.show(id, user);
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
    const payment = await this.payments.pay(id, body.accountId, user);
    return new Created(`/orders/${id}`, toPayment(payment));
  }

  /** Cancel an order: puts the stock back, and the money where it was paid */
  @Post('orders/:id/cancellations')
  @ApiId()
  @Tagged(byVersion)
  @Answers(201, OrderView, {
    fails: ['INVALID_TRANSITION'],
    conflict: 'The account that the money came from is closed, or the buyer has been erased since',
  })
  async cancel(
    @Id() id: string,
    @Body() body: CancelOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<OrderView>> {
    const order = await this.fulfilment.cancel(id, body.reason, user);
    return withOrder(order);
  }

  /** Send a paid order out */
  @Post('orders/:id/shipments')
  @Requires('write')
  @ApiId()
  @Tagged(byVersion)
  @Answers(201, OrderView, { fails: ['INVALID_TRANSITION'], conflict: 'The buyer has been erased since' })
  async ship(
    @Id() id: string,
    @Body() body: ShipOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<OrderView>> {
    const order = await this.fulfilment.ship(id, body, user);
    return withOrder(order);
  }

  /** Note that an order has arrived */
  @Post('orders/:id/deliveries')
  @Requires('write')
  @ApiId()
  @Tagged(byVersion)
  @Answers(201, OrderView, { fails: ['INVALID_TRANSITION'], conflict: 'The buyer has been erased since' })
  async deliver(
    @Id() id: string,
    @Body() _body: DeliverOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<OrderView>> {
    const order = await this.fulfilment.deliver(id, user);
    return withOrder(order);
  }

  /** Give money back: some of it, or all that is left. The stock stays as it is */
  @Post('orders/:id/refunds')
  @Requires('write')
  @ApiId()
  @Answers(201, PaymentView, {
    fails: ['INVALID_TRANSITION'],
    conflict: 'The account that the money came from is closed',
  })
  async refund(
    @Id() id: string,
    @Body() body: RefundOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<PaymentView>> {
    const refund = await this.payments.refund(id, body, user);
    return new Created(`/orders/${id}`, toPayment(refund));
  }

  /** List the changes of an order's status, the oldest first */
  @Get('orders/:id/history')
  @ApiId()
  @Answers(200, [StatusChangeView])
  async history(
    @Id() id: string,
    @Query() query: HistoryQuery,
    @CurrentUser() user: Principal,
  ): Promise<Page<StatusChangeView>> {
    const page = await this.orders.history(id, query, user);
    return page.map(toStatusChange);
  }

  /** List a user's orders */
  @Get('users/:id/orders')
  @ApiId()
  @Answers(200, [ListedOrderView])
  async listOfUser(
    @Id() id: string,
    @Query() query: OrdersQuery,
    @CurrentUser() user: Principal,
  ): Promise<Page<JsonView | ListedOrderView>> {
    const { include, ...filters } = filtersOf(query);
    const page = await this.orders.listOf(id, filters, query, user);
    return this.show(page, include, user);
  }

  /** Place an order for a user */
  @Post('users/:id/orders')
  @ApiId()
  @Tagged(byVersion)
  @Answers(201, OrderView, {
    fails: ['INSUFFICIENT_STOCK', 'CURRENCY_MISMATCH'],
    conflict: 'The user has been erased since',
  })
  async placeForUser(
    @Id() id: string,
    @Body() body: PlaceOrderDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<OrderView>> {
    return withOrder(await this.placing.placeFor(id, body, user));
  }

  private async show(
    page: Page<ShownOrder>,
    include: 'user' | undefined,
    by: Principal,
  ): Promise<Page<JsonView | ListedOrderView>> {
    if (include === undefined) return page.map(({ view }) => view);
    const buyers = await this.orders.buyersOf(page.items, by);
    return page.map(({ userId, view }) => toListedOrder(JSON.parse(view.text) as OrderView, buyers.get(userId)));
  }
}

const withOrder = (order: Order): Created<OrderView> =>
  new Created(`/orders/${order.id}`, toOrder(order)).about(order.userId);
