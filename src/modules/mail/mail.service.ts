import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { Config } from '../../config.js';
import { SecretBox } from '../../secret-box.js';
import { describeFailure, JobsService, PermanentFailure } from '../jobs/index.js';
import { Mailer } from './mailer.js';
import { isTemplate, type MailTemplate, render, type TemplateData } from './templates.js';

const SEND = 'mail.send';
/** With the waits between them about ten hours. Later than that, most mails would only surprise. */
const ATTEMPTS = 11;

/** To whom, which mail, what is said in it, and whom it is about, if a user: it goes with them. */
export type Mail = {
  [T in MailTemplate]: { to: string; template: T; data: TemplateData[T]; userId?: string };
}[MailTemplate];

/** What waits in the job until it is sent: a link in it is as good as a password, so the table does not tell it. */
interface MailJob {
  messageId: string;
  userId?: string | undefined;
  sealed: string;
}

@Injectable()
export class MailService implements OnModuleInit {
  constructor(
    private readonly jobs: JobsService,
    private readonly mailer: Mailer,
    private readonly box: SecretBox,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.jobs.handle<Partial<MailJob>>(SEND, (mail) => this.deliver(mail));
  }

  /** Sends a mail once the running unit of work has committed, and none otherwise. */
  async send({ userId, ...mail }: Mail): Promise<void> {
    const messageId = uuid();
    const job: MailJob = { messageId, userId, sealed: this.box.seal(JSON.stringify(mail), messageId) };
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

  private async deliver({ messageId, sealed }: Partial<MailJob>): Promise<void> {
    if (messageId === undefined || sealed === undefined) throw new PermanentFailure('This is no mail of ours');
    // With another key than it was sealed with, it waits for a process that has the right one.
    const mail = JSON.parse(this.box.open(sealed, messageId)) as Mail;
    const { to, template, data } = mail;
    if (!isTemplate(template)) throw new PermanentFailure('There is no such mail template');
    try {
      await this.mailer.deliver({ to, template, messageId, ...render(template, data) });
    } catch (error) {
      // Who keeps it knows what the job says, and not what is sealed in it.
      const told = describeFailure(error, mail);
      throw error instanceof PermanentFailure ? new PermanentFailure(told) : new Error(told);
    }
  }
}
