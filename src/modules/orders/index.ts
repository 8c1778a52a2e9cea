export type { Order } from './order.entity.js';
export { OrderView, PlaceOrderDto, toOrder } from './orders.dto.js';
export { OrdersModule } from './orders.module.js';
export { PlacingService, type PlaceOrder } from './placing.service.js';
