import { isTemplate, render } from './templates.js';

const VERIFY = 'https://shop.example/verify-email?token=a&b="c';

describe('a mail', () => {
  it('says the same as text and as HTML', () => {
    const { subject, text, html } = render('welcome', { name: 'Ann', verifyUrl: VERIFY });
    expect(subject).toBe('Welcome');
    expect(text).toContain('Hello Ann,');
    expect(text.split('\n')).toContain(VERIFY);
    expect(html).toContain('<p>Hello Ann,</p>');
    expect(html).toContain('href="https://shop.example/verify-email?token=a&amp;b=&quot;c"');
  });

  it('takes everything that is put into it for text', () => {
    const hostile = `<script>alert("1")</script>'&`;
    const { html } = render('new-session', { name: hostile, ip: hostile, userAgent: hostile, time: hostile });
    expect(html).not.toContain('<script');
    expect(html.match(/&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&#39;&amp;/g)).toHaveLength(4);
  });

  it('keeps what is put into it on its line', () => {
    const { subject, text } = render('webhook-disabled', {
      url: 'https://hooks.example/in',
      reason: 'Gone\r\nBcc: everybody@example.com\n\nYour account is at risk',
    });
    expect(subject).not.toMatch(/[\r\n]/);
    expect(text).not.toMatch(/^(Bcc|Your account)/m);
  });

  it('leads nowhere but to the web', () => {
    const { html } = render('password-reset', { name: 'Ann', url: 'javascript:alert(1)' });
    expect(html).not.toContain('href');
  });

  it('needs no name', () => {
    expect(render('password-reset', { url: VERIFY }).text).not.toMatch(/Hello|undefined/);
  });

  it('is one of those that there are', () => {
    expect(isTemplate('welcome')).toBe(true);
    expect(isTemplate('constructor')).toBe(false);
    expect(isTemplate(undefined)).toBe(false);
  });
});
