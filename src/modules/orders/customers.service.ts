import { Injectable } from '@nestjs/common';
import type { Principal } from '../../permissions.js';
import { type User, UsersService } from '../users/index.js';
import { CustomersRepository, type OrderSummary } from './customers.repository.js';

/** Users as those who order. */
@Injectable()
export class CustomersService {
  constructor(
    private readonly users: UsersService,
    private readonly customers: CustomersRepository,
  ) {}

  /** @throws UserNotFound, ForbiddenError */
  async get(id: string, by: Principal): Promise<{ user: User; orderSummary: OrderSummary }> {
    const user = await this.users.get(id, by);
    return { user, orderSummary: await this.customers.summaryOf(id) };
  }
}
