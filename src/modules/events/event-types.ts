/** Everything that can happen. */
export const EVENT_TYPES = [
  'user.created',
  'user.updated',
  'user.deleted',
  'session.reuse_detected',
  'product.created',
  'product.updated',
  'product.deleted',
  'product.stock_adjusted',
  'order.created',
  'order.updated',
  'order.paid',
  'order.cancelled',
  'order.shipped',
  'order.delivered',
  'order.refunded',
  'transfer.created',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];
