import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { DomainError } from '../../errors.js';
import { AuthService, type Origin, type TokenPair } from '../auth/index.js';
import { type Order, PlacingService, type PlaceOrder } from '../orders/index.js';

/** The first order of a guest, who becomes a user by it. */
@Injectable()
export class CheckoutService {
  constructor(
    private readonly auth: AuthService,
    private readonly placing: PlacingService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * Registers the user, logs them in and places their order: all of it or nothing.
   *
   * @throws EmailTaken, and what placing an order throws
   */
  checkOut(
    user: { email: string; name: string; password: string },
    order: PlaceOrder,
    origin: Origin,
  ): Promise<{ tokens: TokenPair; order: Order }> {
    // The transaction begins with its first statement, which is after the password has been hashed.
    return this.unitOfWork.run(async () => {
      const tokens = await within('user', this.auth.register(user, origin));
      return { tokens, order: await within('order', this.placing.place(tokens.user.id, order)) };
    });
  }
}

/** What is refused is a part of what was sent here, so its fields are named from here. */
function within<T>(path: string, part: Promise<T>): Promise<T> {
  return part.catch((error: unknown) => {
    throw error instanceof DomainError ? error.within(path) : error;
  });
}
