import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsIn, ValidateBy, ValidateNested } from 'class-validator';
import {
  Amount,
  Currency,
  Integer,
  MAX_INTEGER,
  Metadata,
  NoFields,
  Optional,
  QueryDate,
  QueryInteger,
  Text,
  Uuid,
} from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import type { UserName } from '../users/index.js';
import { type Order, type OrderItem, ORDER_STATUSES, type OrderStatus } from './order.entity.js';
import type { Payment } from './payment.entity.js';
import type { StatusChange } from './status-change.entity.js';

/** A list in a list would be looked into as if its items were in the outer one. */
const HasNoLists = () =>
  ValidateBy({
    name: 'hasNoLists',
    validator: {
      validate: (value: unknown) => !Array.isArray(value) || !value.some(Array.isArray),
      defaultMessage: () => 'must be a list of objects',
    },
  });

export class OrderItemDto {
  @Uuid()
  productId: string;

  /** @example 1 */
  @Integer(1, 10_000)
  quantity: number;
}

export class PlaceOrderDto {
  /** Each product once, all of one currency */
  @ArrayUnique((item: OrderItemDto | null | undefined) => item?.productId ?? item, {
    message: 'must name each product once',
  })
  @ArrayMaxSize(100)
  @ArrayMinSize(1)
  @HasNoLists()
  @ValidateNested({ each: true })
  @Type(() => OrderItemDto)
  // Last, and so the first to be checked.
  @IsArray({ message: 'must be a list' })
  items: OrderItemDto[];

  /** @example "Please ring twice" */
  @Optional()
  @Text(0, 1000)
  note?: string;

  @Optional()
  @Metadata()
  metadata?: Record<string, string>;
}

export class UpdateOrderDto {
  /** @example "Leave it with the neighbours" */
  @Optional()
  @Text(0, 1000)
  note?: string;

  @Optional()
  @Metadata()
  metadata?: Record<string, string>;
}

export class PayOrderDto {
  /** An account of yours in the order's currency */
  @Uuid()
  accountId: string;
}

export class CancelOrderDto {
  /** @example Ordered twice */
  @Optional()
  @Text(0, 500)
  reason?: string;
}

export class ShipOrderDto {
  /** @example DHL */
  @Optional()
  @Text(0, 100)
  carrier?: string;

  /** @example 00340434161094042557 */
  @Optional()
  @Text(0, 100)
  trackingNumber?: string;
}

/** Nothing more is to be said: `{}` */
@NoFields()
export class DeliverOrderDto {}

export class RefundOrderDto {
  /** In the currency's minor unit; left out, all that is left */
  @Optional()
  @Amount({ min: 1 })
  amount?: number;

  /** @example Arrived broken */
  @Optional()
  @Text(0, 500)
  reason?: string;
}

export class HistoryQuery extends ListQuery {
  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class OrdersQuery extends ListQuery {
  /** For moderators: adds to each order who placed it */
  @Optional()
  @IsIn(['user'])
  include?: 'user';

  @Optional()
  @IsIn(ORDER_STATUSES)
  status?: OrderStatus;

  /** For moderators: whose orders */
  @Optional()
  @Uuid()
  userId?: string;

  @Optional()
  @Currency()
  currency?: string;

  @Optional()
  @QueryInteger(0, MAX_INTEGER)
  minTotal?: number;

  @Optional()
  @QueryInteger(0, MAX_INTEGER)
  maxTotal?: number;

  /** At or after this time */
  @Optional()
  @QueryDate()
  createdFrom?: Date;

  /** Before this time */
  @Optional()
  @QueryDate()
  createdTo?: Date;

  @Optional()
  @IsIn(['createdAt', 'updatedAt', 'total'])
  sortBy?: 'createdAt' | 'updatedAt' | 'total';
}

export class OrderItemView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ format: 'uuid' })
  productId: string;

  /** @example DESK-OAK-160 */
  sku: string;

  /** @example "Oak desk" */
  name: string;

  /** @example 2 */
  @Integer(1, 10_000)
  quantity: number;

  /** @example 44900 */
  @Amount()
  unitPrice: number;

  /** @example 89800 */
  @Amount()
  total: number;
}

export class OrderUserView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  /** Null once the user has been erased */
  @ApiProperty({ type: 'string', nullable: true })
  email: string | null;

  name: string;
}

export class OrderView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  /**
   * For people to read out
   * @example 7K4MW-2Q9XT
   */
  number: string;

  @ApiProperty({ format: 'uuid' })
  userId: string;

  @ApiProperty({ enum: ORDER_STATUSES })
  status: OrderStatus;

  currency: string;

  /** @example 89800 */
  @Amount()
  total: number;

  items: OrderItemView[];

  @ApiProperty({ type: 'string', nullable: true, example: 'Please ring twice' })
  note: string | null;

  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' }, example: { campaign: 'spring' } })
  metadata: Record<string, string>;

  createdAt: Date;

  updatedAt: Date;

  /** When it is given up unless it is paid; null once it is no longer pending */
  @ApiProperty({ type: 'string', nullable: true, format: 'date-time' })
  expiresAt: Date | null;

  @ApiProperty({ type: 'integer' })
  version: number;
}

/** An order in a list, which may say who placed it. */
export class ListedOrderView extends OrderView {
  /** Only with `include=user` */
  user?: OrderUserView;
}

export class StatusChangeView {
  @ApiProperty({ enum: ORDER_STATUSES, nullable: true, description: 'Null for the first' })
  from: OrderStatus | null;

  @ApiProperty({ enum: ORDER_STATUSES })
  to: OrderStatus;

  @ApiProperty({ type: 'string', format: 'uuid', nullable: true, description: 'Null where nobody had to do it' })
  by: string | null;

  @ApiProperty({ type: 'string', nullable: true })
  reason: string | null;

  at: Date;
}

export class PaymentView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ format: 'uuid' })
  orderId: string;

  @ApiProperty({ format: 'uuid' })
  transferId: string;

  /**
   * In the currency's minor unit; negative for what was paid back
   * @example 89800
   */
  @ApiProperty({ type: 'integer' })
  amount: number;

  currency: string;

  createdAt: Date;
}

export function toOrder(order: Order): OrderView {
  return {
    id: order.id,
    number: order.number,
    userId: order.userId,
    status: order.status,
    currency: order.currency,
    total: order.total,
    items: order.items.map(toItem),
    note: order.note,
    metadata: order.metadata,
    createdAt: order.createdAt,
    updatedAt: order.updatedAt,
    expiresAt: order.status === 'pending' ? order.expiresAt : null,
    version: order.version,
  };
}

export function toListedOrder(order: OrderView, user: UserName | undefined): ListedOrderView {
  return Object.assign(order, user && { user: { id: user.id, email: user.email, name: user.name } });
}

export function toStatusChange({ fromStatus, toStatus, changedBy, reason, createdAt }: StatusChange): StatusChangeView {
  return { from: fromStatus, to: toStatus, by: changedBy, reason, at: createdAt };
}

function toItem({ id, productId, sku, name, quantity, unitPrice, total }: OrderItem): OrderItemView {
  return { id, productId, sku, name, quantity, unitPrice, total };
}

export function toPayment({ id, orderId, transferId, amount, currency, createdAt }: Payment): PaymentView {
  return { id, orderId, transferId, amount, currency, createdAt };
}
