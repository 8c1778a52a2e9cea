import { randomBytes } from 'node:crypto';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Config } from '../../config.js';
import { Log } from '../../telemetry/logger.js';
import { UsersService } from './users.service.js';

/** Sees to it at start that there is an admin. */
@Injectable()
export class FirstAdmin implements OnApplicationBootstrap {
  /** Where the configuration gives none, a password is made up and told once. */
  madeUpPassword: string | undefined;

  constructor(
    private readonly users: UsersService,
    private readonly config: Config,
    @Log() private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { admin } = this.config;
    if (admin === undefined || (await this.users.hasAdmin())) return;
    const password = admin.password ?? `Aa1-${randomBytes(9).toString('base64url')}`;
    const done = await this.users.createFirstAdmin(admin.email, password);
    if (done === undefined) return;
    if (admin.password === undefined) this.madeUpPassword = password;
    if (done === 'handed over') {
      this.logger.warn(
        'Somebody had ADMIN_EMAIL: that user is the first admin now, with a new password and no sessions',
      );
    }
  }
}
