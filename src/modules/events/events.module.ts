import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/index.js';
import { EventsController } from './events.controller.js';
import { EventsJobs } from './events.jobs.js';
import { EventsRepository } from './events.repository.js';
import { EventsService } from './events.service.js';

@Module({
  imports: [JobsModule],
  controllers: [EventsController],
  providers: [EventsService, EventsJobs, EventsRepository],
  exports: [EventsService],
})
export class EventsModule {}
