/** What each mail says; all of it may come from strangers. Times are ISO 8601, links are whole. */
export interface TemplateData {
  welcome: { name: string; verifyUrl: string };
  'verify-email': { name?: string; verifyUrl: string };
  'password-reset': { name?: string; url: string };
  'password-changed': { name?: string };
  'new-session': { name?: string; ip: string; userAgent: string | null; time: string };
  'email-changed': { name?: string };
  'webhook-disabled': { url: string; reason: string };
}
export type MailTemplate = keyof TemplateData;

export interface Rendered {
  subject: string;
  text: string;
  html: string;
}

/** A mail before it is laid out: paragraphs, some of which are a link that is shown as a button. */
type Paragraph = string | { label: string; url: string };
interface Draft {
  /** Without anything from outside: nothing can be put into the header through it. */
  subject: string;
  greeting?: string | undefined;
  paragraphs: Paragraph[];
}

const NOT_YOU = 'If this was not you, reset your password at once: that also logs out everybody else.';

const TEMPLATES: { [T in MailTemplate]: (data: TemplateData[T]) => Draft } = {
  welcome: ({ name, verifyUrl }) => ({
    subject: 'Welcome',
    greeting: name,
    paragraphs: [
      'Good to have you here. One thing is left to do: confirm that this is your address.',
      { label: 'Confirm the address', url: verifyUrl },
      'If you have not registered, somebody has mistyped theirs: ignore this mail.',
    ],
  }),
  'verify-email': ({ name, verifyUrl }) => ({
    subject: 'Confirm your email address',
    greeting: name,
    paragraphs: [
      'Confirm that this is your address:',
      { label: 'Confirm the address', url: verifyUrl },
      'If you have not asked for this, ignore this mail.',
    ],
  }),
  'password-reset': ({ name, url }) => ({
    subject: 'Reset your password',
    greeting: name,
    paragraphs: [
      'Somebody, most likely you, has asked to set a new password. The link is good for one hour, and once:',
      { label: 'Set a new password', url },
      'If it was not you, ignore this mail: your password stays as it is.',
    ],
  }),
  'password-changed': ({ name }) => ({
    subject: 'Your password was changed',
    greeting: name,
    paragraphs: ['Your password was changed just now, and your other sessions were ended.', NOT_YOU],
  }),
  'new-session': ({ name, ip, userAgent, time }) => ({
    subject: 'A new login to your account',
    greeting: name,
    paragraphs: [
      'Somebody has logged in to your account from where you have not been seen before:',
      `Time: ${time}`,
      `Address: ${ip}`,
      `Program: ${userAgent ?? 'unknown'}`,
      NOT_YOU,
    ],
  }),
  'email-changed': ({ name }) => ({
    subject: 'Your email address was changed',
    greeting: name,
    paragraphs: [
      'Your account has another email address from now on. This one gets no more mails.',
      'If this was not you, answer this mail or write to whoever runs this service: somebody has your password.',
    ],
  }),
  'webhook-disabled': ({ url, reason }) => ({
    subject: 'A webhook was switched off',
    paragraphs: [
      'A webhook was switched off and gets no more events until you switch it on again:',
      url,
      `Reason: ${reason}`,
    ],
  }),
};

export const isTemplate = (name: unknown): name is MailTemplate =>
  typeof name === 'string' && Object.hasOwn(TEMPLATES, name);

/** The mail as plain text and as HTML, which say the same. */
export function render<T extends MailTemplate>(template: T, data: TemplateData[T]): Rendered {
  const { subject, greeting, paragraphs } = TEMPLATES[template](data);
  const all = [...(greeting === undefined ? [] : [`Hello ${greeting},`]), ...paragraphs];
  return { subject, text: toText(all), html: toHtml(subject, all) };
}

/** What comes from outside stays on its line, so that it can not pass for a paragraph of ours. */
// eslint-disable-next-line no-control-regex
const onOneLine = (text: string): string => text.replaceAll(/[\x00-\x1f\x7f\u2028\u2029]+/g, ' ').trim();

function toText(paragraphs: readonly Paragraph[]): string {
  const lines = paragraphs.map((each) => (typeof each === 'string' ? onOneLine(each) : onOneLine(each.url)));
  return `${lines.join('\n\n')}\n`;
}

function toHtml(subject: string, paragraphs: readonly Paragraph[]): string {
  const blocks = paragraphs.map((each) =>
    typeof each === 'string' ? markup`<p>${onOneLine(each)}</p>` : button(each.label, onOneLine(each.url)),
  );
  return [
    '<!doctype html>',
    markup`<html lang="en"><head><meta charset="utf-8"><title>${subject}</title></head>`,
    '<body style="margin:0;padding:24px;font:16px/1.5 sans-serif;color:#1a1a1a">',
    '<div style="max-width:560px;margin:auto">',
    ...blocks,
    '</div></body></html>',
    '',
  ].join('\n');
}

const BUTTON =
  'display:inline-block;padding:10px 18px;border-radius:6px;background:#1a4fd6;color:#fff;text-decoration:none';

/** Only the web's own links: one that would run a script is shown and leads nowhere. */
function button(label: string, url: string): string {
  const shown = markup`<p style="font-size:13px;color:#666">${url}</p>`;
  if (!/^https?:\/\//i.test(url)) return shown;
  return markup`<p><a href="${url}" style="${BUTTON}">${label}</a></p>` + shown;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** HTML in which every value is taken for text. */
export function markup(parts: TemplateStringsArray, ...values: string[]): string {
  const escaped = values.map((value) => value.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? ''));
  return String.raw({ raw: parts }, ...escaped);
}
