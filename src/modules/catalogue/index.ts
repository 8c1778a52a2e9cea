export { InsufficientStock } from './catalogue.errors.js';
export { CatalogueModule } from './catalogue.module.js';
export { CatalogueService } from './catalogue.service.js';
export type { Line, Quantity, Shelf } from './shelf.js';
