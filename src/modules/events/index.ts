export { EventsModule } from './events.module.js';
export { EventsService, type EventType } from './events.service.js';
