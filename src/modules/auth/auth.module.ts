import { Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { EventsModule } from '../events/index.js';
import { JobsModule } from '../jobs/index.js';
import { MailModule } from '../mail/index.js';
import { UsersModule } from '../users/index.js';
import { AccountLinks } from './account-links.js';
import { Aftermath } from './aftermath.js';
import { AuthController } from './auth.controller.js';
import { AuthService } from './auth.service.js';
import { BearerStrategy } from './bearer.strategy.js';
import { JwksController } from './jwks.controller.js';
import { Keys } from './keys.js';
import { Revocations } from './revocations.js';
import { RevocationsRepository } from './revocations.repository.js';
import { SessionsRepository } from './sessions.repository.js';
import { SessionsService } from './sessions.service.js';
import { Tokens } from './tokens.js';
import { UserTokensRepository } from './user-tokens.repository.js';

@Module({
  imports: [EventsModule, JobsModule, MailModule, UsersModule, PassportModule, JwtModule.register({})],
  controllers: [AuthController, JwksController],
  providers: [
    AuthService,
    SessionsService,
    AccountLinks,
    Aftermath,
    Tokens,
    Keys,
    Revocations,
    BearerStrategy,
    SessionsRepository,
    RevocationsRepository,
    UserTokensRepository,
  ],
  exports: [AuthService],
})
export class AuthModule {}
