import { Module } from '@nestjs/common';
import { JobsController } from './jobs.controller.js';
import { JobsRepository } from './jobs.repository.js';
import { JobsService } from './jobs.service.js';
import { Registry } from './registry.js';
import { JobsWorker } from './worker.js';

@Module({
  controllers: [JobsController],
  providers: [JobsService, JobsRepository, JobsWorker, Registry],
  exports: [JobsService, JobsWorker],
})
export class JobsModule {}
