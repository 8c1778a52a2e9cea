import { Injectable, type OnModuleInit } from '@nestjs/common';
import { JobsService } from '../jobs/index.js';
import { UsersService } from '../users/index.js';
import { AccountLinks } from './account-links.js';
import { Revocations } from './revocations.js';
import { SessionsService } from './sessions.service.js';

/** What follows for sessions, tokens and links when something happens to a user, and as time goes by. */
@Injectable()
export class Aftermath implements OnModuleInit {
  constructor(
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly links: AccountLinks,
    private readonly revocations: Revocations,
    private readonly jobs: JobsService,
  ) {}

  onModuleInit(): void {
    this.users.onRightsChange(({ id, rightsVersion }) => this.revocations.revokeRights(id, rightsVersion));
    this.users.onEmailChange((user, formerEmail) => this.links.emailChanged(user, formerEmail));
    const shutOut = async (userId: string): Promise<void> => {
      await this.sessions.forget(userId);
      await this.links.forget(userId);
    };
    this.users.onErasure({ release: shutOut });
    this.users.onHandover(shutOut);
    this.jobs.schedule('auth.clean', '37 3 * * *', async () => {
      await this.sessions.clean();
      await this.links.clean();
    });
  }
}
