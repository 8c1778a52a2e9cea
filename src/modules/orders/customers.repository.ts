import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';

/** What somebody has ordered and spent: paid and not given back, in each currency that anything is left of. */
export interface OrderSummary {
  count: number;
  lastOrderAt: Date | null;
  spent: { currency: string; amount: number }[];
}

@Injectable()
export class CustomersRepository {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** In one statement. A refund is a payment below zero, so the sum is what was kept. */
  async summaryOf(userId: string): Promise<OrderSummary> {
    const manager = await this.unitOfWork.manager();
    const [row]: [OrderSummary] = await manager.query(
      `SELECT count(*) AS count, max(created_at) AS "lastOrderAt",
              (SELECT coalesce(json_agg(kept ORDER BY currency), '[]')
                 FROM (SELECT payments.currency, sum(payments.amount) AS amount
                         FROM payments JOIN orders AS paid ON paid.id = payments.order_id
                        WHERE paid.user_id = $1
                        GROUP BY payments.currency
                       HAVING sum(payments.amount) > 0) AS kept) AS spent
         FROM orders WHERE user_id = $1`,
      [userId],
    );
    return row;
  }
}
