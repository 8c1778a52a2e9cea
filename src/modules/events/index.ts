export type { Event, FeedPosition } from './event.entity.js';
export { EVENT_TYPES, type EventType } from './event-types.js';
export { EventsModule } from './events.module.js';
export { EventsService } from './events.service.js';
