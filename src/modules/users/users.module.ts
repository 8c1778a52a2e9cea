import { Module } from '@nestjs/common';
import { EventsModule } from '../events/index.js';
import { CachedUsers } from './cached-users.js';
import { FirstAdmin } from './first-admin.js';
import { Passwords } from './passwords.js';
import { UsersController } from './users.controller.js';
import { UsersImport } from './users.import.js';
import { UsersRepository } from './users.repository.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [EventsModule],
  controllers: [UsersController],
  providers: [UsersService, CachedUsers, UsersRepository, Passwords, FirstAdmin, UsersImport],
  exports: [UsersService, UsersImport],
})
export class UsersModule {}
