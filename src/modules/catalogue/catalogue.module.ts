import { Module } from '@nestjs/common';
import { EventsModule } from '../events/index.js';
import { CachedProducts } from './cached-products.js';
import { CatalogueController } from './catalogue.controller.js';
import { CatalogueRepository } from './catalogue.repository.js';
import { CatalogueService } from './catalogue.service.js';
import { ProductListsRepository } from './product-lists.repository.js';
import { StockAdjustmentsRepository } from './stock-adjustments.repository.js';

@Module({
  imports: [EventsModule],
  controllers: [CatalogueController],
  providers: [
    CatalogueService,
    CachedProducts,
    CatalogueRepository,
    ProductListsRepository,
    StockAdjustmentsRepository,
  ],
  exports: [CatalogueService],
})
export class CatalogueModule {}
