import { Module } from '@nestjs/common';
import { EventsModule } from '../events/index.js';
import { JobsModule } from '../jobs/index.js';
import { LedgerController } from './ledger.controller.js';
import { LedgerJobs } from './ledger.jobs.js';
import { AccountsRepository, TransfersRepository } from './ledger.repository.js';
import { LedgerService } from './ledger.service.js';

@Module({
  imports: [EventsModule, JobsModule],
  controllers: [LedgerController],
  providers: [LedgerService, LedgerJobs, AccountsRepository, TransfersRepository],
  exports: [LedgerService],
})
export class LedgerModule {}
