import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Config } from '../../config.js';
import { JobsService } from '../jobs/index.js';
import { EventsService } from './events.service.js';

/** Forgets old events, every night, where that is wanted. */
@Injectable()
export class EventsJobs implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly events: EventsService,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.jobs.schedule('events.purge', '41 3 * * *', async () => {
      if (this.config.eventsRetentionDays > 0) await this.events.purge(this.config.eventsRetentionDays);
    });
  }
}
