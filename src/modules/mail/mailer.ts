import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { SendMailOptions } from 'nodemailer';
import type { Logger } from 'pino';
import { Config, ConfigError } from '../../config.js';
import { Log } from '../../telemetry/logger.js';
import { PermanentFailure } from '../jobs/index.js';

/** A mail as it goes out. */
export interface Outgoing {
  to: string;
  template: string;
  /** The same at every attempt, so that a mail which arrived although we heard of a failure can be told from a new one. */
  messageId: string;
  subject: string;
  text: string;
  html: string;
}

const CONNECT_MS = 10_000;
const SILENCE_MS = 15_000;

/** Hands mails over: to an SMTP server, or, where none is set, to a folder in development and to nobody in production. */
@Injectable()
export class Mailer implements OnModuleInit {
  constructor(
    private readonly config: Config,
    @Log() private readonly logger: Logger,
  ) {}

  /** @throws ConfigError where mails are to be written and can not be */
  async onModuleInit(): Promise<void> {
    if (!this.config.inProduction) {
      if (this.config.smtpUrl === undefined) await this.makeFolder();
      return;
    }
    if (this.config.smtpUrl === undefined) this.logger.warn('SMTP_URL is not set: no mail will be sent');
    if (this.config.appUrl === undefined) this.logger.warn('APP_URL is not set: links in mails will lead nowhere');
  }

  /** @throws PermanentFailure where the server has refused this mail for good */
  async deliver(mail: Outgoing): Promise<void> {
    if (this.config.smtpUrl !== undefined) await this.send(mail, this.config.smtpUrl);
    else if (!this.config.inProduction) await this.write(mail);
    else this.logger.warn({ template: mail.template }, 'SMTP_URL is not set: a mail was dropped');
  }

  private async send(mail: Outgoing, url: string): Promise<void> {
    // Not before the first mail: a start need not wait for it.
    const { createTransport } = await import('nodemailer');
    const transport = createTransport({
      url,
      dnsTimeout: CONNECT_MS,
      connectionTimeout: CONNECT_MS,
      greetingTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
    });
    try {
      await transport.sendMail(this.messageOf(mail));
    } catch (error) {
      throw isRefusal(error) ? new PermanentFailure(error.message) : error;
    } finally {
      transport.close();
    }
  }

  /** The mail for a mail program, and its HTML for a browser. Whole at once: somebody may be waiting for it. */
  private async write(mail: Outgoing): Promise<void> {
    const folder = await this.makeFolder();
    const { createTransport } = await import('nodemailer');
    const transport = createTransport({ streamTransport: true, buffer: true });
    const { message } = await transport.sendMail(this.messageOf(mail));
    const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
    const name = join(folder, `${time}-${mail.template}-${mail.messageId.replaceAll(/\W/g, '').slice(-8)}`);
    for (const [end, content] of [
      ['html', mail.html],
      ['eml', message],
    ] as const) {
      const draft = `${name}.${end}.${process.pid}.tmp`;
      await writeFile(draft, content as Buffer | string, { mode: 0o600 });
      await rename(draft, `${name}.${end}`);
    }
    this.logger.info({ template: mail.template, path: `${name}.eml` }, 'Mail written');
  }

  private async makeFolder(): Promise<string> {
    const folder = resolve(this.config.dataDir, 'mail');
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new ConfigError([`DATA_DIR can not be used: ${error instanceof Error ? error.message : String(error)}`]);
    }
    return folder;
  }

  private messageOf({ to, messageId, subject, text, html }: Outgoing): SendMailOptions {
    const { mailFrom } = this.config;
    return {
      from: mailFrom,
      // As an address, not as a list of them that a comma could lengthen.
      to: { name: '', address: to },
      subject,
      text,
      html,
      messageId: `<${messageId}@${mailFrom.replace(/^.*@|>$/g, '')}>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
      textEncoding: 'quoted-printable',
      disableFileAccess: true,
      disableUrlAccess: true,
    };
  }
}

/** A 5xx to the address or the message: no use in asking again. One to our login is our own fault, and can be mended. */
function isRefusal(error: unknown): error is Error {
  if (!(error instanceof Error) || !('code' in error) || !('responseCode' in error)) return false;
  const status = Number(error.responseCode);
  return ['EENVELOPE', 'EMESSAGE'].includes(String(error.code)) && status >= 500 && status <= 599;
}
