import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsIn, ValidateNested } from 'class-validator';
import {
  Amount,
  Currency,
  Integer,
  MAX_INTEGER,
  Metadata,
  Optional,
  QueryDate,
  QueryInteger,
  Text,
  Uuid,
} from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import { type Order, type OrderItem, ORDER_STATUSES, type OrderStatus } from './order.entity.js';
import type { Payment } from './payment.entity.js';

export class OrderItemDto {
  @Uuid()
  productId: string;

  /** @example 1 */
  @Integer(1, 10_000)
  quantity: number;
}

export class PlaceOrderDto {
  /** Each product once, all of one currency */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ArrayUnique((item: OrderItemDto | null | undefined) => item?.productId ?? item, {
    message: 'must name each product once',
  })
  @ValidateNested({ each: true })
  @Type(() => OrderItemDto)
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

export class OrdersQuery extends ListQuery {
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

export class OrderView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  /**
   * For people to read out
   * @example SO-7K4M-2Q9X
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

function toItem({ id, productId, sku, name, quantity, unitPrice, total }: OrderItem): OrderItemView {
  return { id, productId, sku, name, quantity, unitPrice, total };
}

export function toPayment({ id, orderId, transferId, amount, currency, createdAt }: Payment): PaymentView {
  return { id, orderId, transferId, amount, currency, createdAt };
}
