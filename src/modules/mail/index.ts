export { MailModule } from './mail.module.js';
export { type Mail, MailService } from './mail.service.js';
export type { MailTemplate, TemplateData } from './templates.js';
