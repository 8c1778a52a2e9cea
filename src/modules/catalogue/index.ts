export { InsufficientStock } from './catalogue.errors.js';
export { CatalogueModule } from './catalogue.module.js';
export { CatalogueService, type Line } from './catalogue.service.js';
