import { Module } from '@nestjs/common';
import { CatalogueModule } from '../catalogue/index.js';
import { EventsModule } from '../events/index.js';
import { LedgerModule } from '../ledger/index.js';
import { UsersModule } from '../users/index.js';
import { FulfilmentService } from './fulfilment.service.js';
import { OrderJournal } from './order-journal.js';
import { OrdersController } from './orders.controller.js';
import {
  OrdersRepository,
  PaymentsRepository,
  ShipmentsRepository,
  StatusChangesRepository,
} from './orders.repository.js';
import { OrdersService } from './orders.service.js';
import { PaymentsService } from './payments.service.js';

@Module({
  imports: [CatalogueModule, EventsModule, LedgerModule, UsersModule],
  controllers: [OrdersController],
  providers: [
    OrdersService,
    PaymentsService,
    FulfilmentService,
    OrderJournal,
    OrdersRepository,
    PaymentsRepository,
    ShipmentsRepository,
    StatusChangesRepository,
  ],
  exports: [OrdersService],
})
export class OrdersModule {}
