import { Module } from '@nestjs/common';
import { Config } from '../../config.js';
import { SecretBox } from '../../secret-box.js';
import { secretsOf } from '../../signing-keys.js';
import { JobsModule } from '../jobs/index.js';
import { MailService } from './mail.service.js';
import { Mailer } from './mailer.js';

@Module({
  imports: [JobsModule],
  providers: [
    MailService,
    Mailer,
    {
      provide: SecretBox,
      useFactory: (config: Config) => new SecretBox('stoa mails', secretsOf(config)),
      inject: [Config],
    },
  ],
  exports: [MailService],
})
export class MailModule {}
