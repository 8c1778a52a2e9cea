import { Module } from '@nestjs/common';
import { CatalogueModule } from '../catalogue/index.js';
import { EventsModule } from '../events/index.js';
import { JobsModule } from '../jobs/index.js';
import { LedgerModule } from '../ledger/index.js';
import { UsersModule } from '../users/index.js';
import { CustomersController } from './customers.controller.js';
import { CustomersRepository } from './customers.repository.js';
import { CustomersService } from './customers.service.js';
import { FulfilmentService } from './fulfilment.service.js';
import { OrderJournal } from './order-journal.js';
import { OrdersController } from './orders.controller.js';
import { OrdersJobs } from './orders.jobs.js';
import {
  OrdersRepository,
  PaymentsRepository,
  ShipmentsRepository,
  StatusChangesRepository,
} from './orders.repository.js';
import { OrdersService } from './orders.service.js';
import { PaymentsService } from './payments.service.js';
import { PlacingService } from './placing.service.js';

@Module({
  imports: [CatalogueModule, EventsModule, JobsModule, LedgerModule, UsersModule],
  controllers: [OrdersController, CustomersController],
  providers: [
    OrdersService,
    PlacingService,
    PaymentsService,
    FulfilmentService,
    OrderJournal,
    OrdersJobs,
    OrdersRepository,
    PaymentsRepository,
    ShipmentsRepository,
    StatusChangesRepository,
    CustomersService,
    CustomersRepository,
  ],
  exports: [PlacingService],
})
export class OrdersModule {}
