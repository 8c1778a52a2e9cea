import { Module } from '@nestjs/common';
import { EventsModule } from '../events/index.js';
import { LedgerController } from './ledger.controller.js';
import { AccountsRepository, TransfersRepository } from './ledger.repository.js';
import { LedgerService } from './ledger.service.js';

@Module({
  imports: [EventsModule],
  controllers: [LedgerController],
  providers: [LedgerService, AccountsRepository, TransfersRepository],
  exports: [LedgerService],
})
export class LedgerModule {}
