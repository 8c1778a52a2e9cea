export { CatalogueModule } from './catalogue.module.js';
export { CatalogueService } from './catalogue.service.js';
export type { Quantity, Shelf } from './shelf.js';
