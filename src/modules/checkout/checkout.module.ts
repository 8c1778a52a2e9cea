import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/index.js';
import { OrdersModule } from '../orders/index.js';
import { CheckoutController } from './checkout.controller.js';
import { CheckoutService } from './checkout.service.js';

@Module({
  imports: [AuthModule, OrdersModule],
  controllers: [CheckoutController],
  providers: [CheckoutService],
})
export class CheckoutModule {}
