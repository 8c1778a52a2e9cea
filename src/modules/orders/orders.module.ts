import { Module } from '@nestjs/common';
import { CatalogueModule } from '../catalogue/index.js';
import { EventsModule } from '../events/index.js';
import { LedgerModule } from '../ledger/index.js';
import { UsersModule } from '../users/index.js';
import { CustomersController } from './customers.controller.js';
import { CustomersRepository } from './customers.repository.js';
import { CustomersService } from './customers.service.js';
import { OrdersController } from './orders.controller.js';
import { OrdersRepository, PaymentsRepository } from './orders.repository.js';
import { OrdersService } from './orders.service.js';

@Module({
  imports: [CatalogueModule, EventsModule, LedgerModule, UsersModule],
  controllers: [OrdersController, CustomersController],
  providers: [OrdersService, OrdersRepository, PaymentsRepository, CustomersService, CustomersRepository],
  exports: [OrdersService],
})
export class OrdersModule {}
