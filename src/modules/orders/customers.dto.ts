import { hash } from 'node:crypto';
import { ApiProperty } from '@nestjs/swagger';
import { Amount } from '../../http/fields.js';
import { toUser, UserView } from '../users/index.js';
import type { CustomersService } from './customers.service.js';

export class SpentView {
  /** @example EUR */
  currency: string;

  /**
   * In the currency's minor unit
   * @example 44900
   */
  @Amount()
  amount: number;
}

export class OrderSummaryView {
  /**
   * All orders that were ever placed, whatever became of them
   * @example 3
   */
  @ApiProperty({ type: 'integer' })
  count: number;

  /** When the last of them was placed */
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  lastOrderAt: Date | null;

  /** What was paid and not refunded, by currency; without currencies that nothing is left of */
  spent: SpentView[];
}

export class CustomerView extends UserView {
  orderSummary: OrderSummaryView;
}

/** Orders come and go without the user's version: the rest of the tag is drawn from the summary. */
export const tagOfCustomer = ({ version, orderSummary }: CustomerView): string =>
  `${version}-${hash('sha256', JSON.stringify(orderSummary), 'hex').slice(0, 16)}`;

export function toCustomer({ user, orderSummary }: Awaited<ReturnType<CustomersService['get']>>): CustomerView {
  return Object.assign(toUser(user), { orderSummary });
}
