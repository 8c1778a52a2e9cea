import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { SecretBox } from '../src/secret-box.js';
import { type App, JWT_SECRET } from './app.js';

const PATIENCE_MS = 15_000;

export interface Mail {
  template: string;
  to: string;
  text: string;
}

const box = new SecretBox('stoa mails', [Buffer.from(JWT_SECRET)]);

/** What waits in the job of a mail, as `MailService.send` leaves it. */
export function mailJob(mail: { to: string; template: string; data: object }): { messageId: string; sealed: string } {
  const messageId = uuid();
  return { messageId, sealed: box.seal(JSON.stringify(mail), messageId) };
}

/** The mails that were sent to this address so far, oldest first. */
export async function mailsTo(app: App, address: string): Promise<Mail[]> {
  const folder = join(app.dataDir, 'mail');
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.eml')).sort();
  const mails = await Promise.all(
    names.map(async (name) => {
      const source = await readFile(join(folder, name), 'utf8');
      return {
        template: /Z-(.+)-\w+\.eml$/.exec(name)?.[1] ?? '',
        to: /^To: (.+)$/m.exec(source)?.[1]?.trim() ?? '',
        // Quoted-printable: lines are broken by `=`, and `=` itself is written out.
        text: source.replaceAll(/=\r?\n/g, '').replaceAll('=3D', '='),
      };
    }),
  );
  return mails.filter(({ to }) => to === address);
}

/** The newest mail of this kind to this address; waits for it. */
export async function mailTo(app: App, address: string, template: string): Promise<Mail> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(50)) {
    const mail = (await mailsTo(app, address)).filter((each) => each.template === template).at(-1);
    if (mail !== undefined) return mail;
  }
  throw new Error(`No ${template} came to ${address}`);
}

/** The token in the link of that mail. */
export async function linkIn(app: App, address: string, template: string): Promise<string> {
  const { text } = await mailTo(app, address, template);
  const token = /token=([\w-]+)/.exec(text)?.[1];
  if (token === undefined) throw new Error(`There is no link in ${text}`);
  return token;
}
