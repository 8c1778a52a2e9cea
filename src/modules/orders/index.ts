export { OrdersModule } from './orders.module.js';
export { OrdersService } from './orders.service.js';
