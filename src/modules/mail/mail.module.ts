import { Module } from '@nestjs/common';
import { JobsModule } from '../jobs/index.js';
import { MailService } from './mail.service.js';
import { Mailer } from './mailer.js';

@Module({
  imports: [JobsModule],
  providers: [MailService, Mailer],
  exports: [MailService],
})
export class MailModule {}
