import { Module } from '@nestjs/common';
import { CatalogueModule } from '../catalogue/index.js';
import { EventsModule } from '../events/index.js';
import { JobsModule } from '../jobs/index.js';
import { LedgerModule } from '../ledger/index.js';
import { UsersModule } from '../users/index.js';
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

@Module({
  imports: [CatalogueModule, EventsModule, JobsModule, LedgerModule, UsersModule],
  controllers: [OrdersController],
  providers: [
    OrdersService,
    PaymentsService,
    FulfilmentService,
    OrderJournal,
    OrdersJobs,
    OrdersRepository,
    PaymentsRepository,
    ShipmentsRepository,
    StatusChangesRepository,
  ],
  exports: [OrdersService],
})
export class OrdersModule {}
