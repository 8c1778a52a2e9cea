import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import PostalMime from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface Mail {
  to: string;
  from: string;
  subject: string;
  text: string;
  html: string;
  /** Every address that a click leads to. */
  links: string[];
  messageId: string;
}

/** The newest mail to this address among those that the server wrote to files. */
export async function newestMailTo(address: string, folder: string): Promise<Mail> {
  for (const deadline = Date.now() + 20_000; ; await sleep(50)) {
    const names = await readdir(folder).catch(() => [] as string[]);
    // They begin with the time.
    for (const name of names
      .filter((each) => each.endsWith('.eml'))
      .sort()
      .reverse()) {
      const mail = await parse(await readFile(join(folder, name)));
      if (mail.to === address) return mail;
    }
    if (Date.now() > deadline) throw new Error(`There is no mail to ${address} among ${names.join(', ')}`);
  }
}

/** A mail server that keeps what it is sent. */
export class MailServer {
  readonly mails: Mail[] = [];
  /** What it answers a mail with, if it does not take it. */
  refusal: { code: number; message: string } | undefined;
  /** Every address that it was told to pass a mail on to. */
  readonly recipients: string[] = [];
  /** How many mails it has begun to read. */
  begun = 0;
  /** Until this it does not say that it has taken a mail. */
  held: Promise<unknown> = Promise.resolve();

  private constructor(private readonly server: SMTPServer) {}

  static async start({ port = 0, ...options }: { port?: number } & SMTPServerOptions = {}): Promise<MailServer> {
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      ...options,
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        mailServer.recipients.push(...session.envelope.rcptTo.map(({ address }) => address));
        mailServer.begun++;
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          mailServer.take(Buffer.concat(chunks)).then(() => done(), done);
        });
      },
    });
    const mailServer: MailServer = new MailServer(server);
    server.on('error', () => undefined);
    server.listen(port, '127.0.0.1');
    await once(server.server, 'listening');
    return mailServer;
  }

  get port(): number {
    return (this.server.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  async mailTo(address: string, patienceMs = 20_000): Promise<Mail> {
    for (const deadline = Date.now() + patienceMs; ; await sleep(20)) {
      const mail = this.mails.findLast(({ to }) => to === address);
      if (mail !== undefined) return mail;
      if (Date.now() > deadline) throw new Error(`No mail to ${address} has come`);
    }
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.server.close(resolve));
  }

  private async take(raw: Buffer): Promise<void> {
    const { refusal } = this;
    if (refusal !== undefined) throw Object.assign(new Error(refusal.message), { responseCode: refusal.code });
    await this.held;
    this.mails.push(await parse(raw));
  }
}

async function parse(raw: Buffer): Promise<Mail> {
  const { to, from, subject = '', text = '', html = '', messageId = '' } = await PostalMime.parse(raw);
  const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, link = '']) => link.replaceAll('&amp;', '&'));
  return { to: to?.[0]?.address ?? '', from: from?.address ?? '', subject, text, html, links, messageId };
}
