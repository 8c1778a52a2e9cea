import { Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { EventsModule } from '../events/index.js';
import { UsersModule } from '../users/index.js';
import { AuthController } from './auth.controller.js';
import { AuthService } from './auth.service.js';
import { BearerStrategy } from './bearer.strategy.js';
import { SessionsRepository } from './sessions.repository.js';
import { Tokens } from './tokens.js';

@Module({
  imports: [EventsModule, UsersModule, PassportModule, JwtModule.register({})],
  controllers: [AuthController],
  providers: [AuthService, Tokens, SessionsRepository, BearerStrategy],
  exports: [AuthService],
})
export class AuthModule {}
