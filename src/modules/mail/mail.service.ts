import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { Config } from '../../config.js';
import { JobsService, PermanentFailure } from '../jobs/index.js';
import { Mailer } from './mailer.js';
import { isTemplate, type MailTemplate, render, type TemplateData } from './templates.js';

const SEND = 'mail.send';
/** With the waits between them about ten hours. Later than that, most mails would only surprise. */
const ATTEMPTS = 11;

/** To whom, which mail, what is said in it, and whom it is about, if a user: it goes with them. */
export type Mail = {
  [T in MailTemplate]: { to: string; template: T; data: TemplateData[T]; userId?: string };
}[MailTemplate];

/** What waits in the job: whole, with its links, until it is sent, and so never to be logged or shown. */
type MailJob = Mail & { messageId: string };

@Injectable()
export class MailService implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly mailer: Mailer,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.jobs.handle<Partial<MailJob>>(SEND, (mail) => this.deliver(mail));
  }

  /** Sends a mail once the running unit of work has committed, and none otherwise. */
  async send(mail: Mail): Promise<void> {
    const job: MailJob = { ...mail, messageId: uuid() };
    await this.jobs.enqueue(SEND, job, { maxAttempts: ATTEMPTS });
  }

  /** Sends none of those about this user that have not been sent, once the running unit of work has committed. */
  async forget(userId: string): Promise<void> {
    await this.jobs.discard(SEND, { userId });
  }

  /** A link for a mail, below `APP_URL`: `linkTo('/verify-email', { token })`. */
  linkTo(path: string, parameters: Readonly<Record<string, string>> = {}): string {
    return this.config.linkTo(path, parameters);
  }

  private async deliver({ to, template, data, messageId }: Partial<MailJob>): Promise<void> {
    if (!isTemplate(template)) throw new PermanentFailure('There is no such mail template');
    if (to === undefined || data === undefined || messageId === undefined) {
      throw new PermanentFailure('The mail lacks its address, its data or its id');
    }
    await this.mailer.deliver({ to, template, messageId, ...render(template, data) });
  }
}
