import type { Page } from 'playwright-core';
import { type App, PASSWORD, startApp, type UserClient } from './app.js';
import { openBrowser, type TestBrowser } from './browser.js';

/** Opens a route on the page, sends it, and reads what the page shows of the answer. */
async function tryOut(
  page: Page,
  path: string,
  method: string,
  body?: string,
): Promise<[status: number, text: string]> {
  const route = page.locator(`.opblock-${method}`).filter({ has: page.locator(`[data-path="${path}"]`) });
  await route.locator('.opblock-summary-control').click();
  if (body !== undefined) await route.locator('textarea.body-param__text').fill(body);
  await route.getByRole('button', { name: 'Execute' }).click();
  const answer = route.locator('.live-responses-table .response').first();
  const status = Number.parseInt(await answer.locator('.response-col_status').innerText(), 10);
  return [status, await answer.locator('.highlight-code').first().innerText()];
}

describe('the docs', () => {
  let app: App;
  let browser: TestBrowser;
  let user: UserClient;
  beforeAll(async () => {
    [app, browser] = await Promise.all([startApp(), openBrowser()]);
    user = await app.register('Dora Docs');
  });
  afterAll(async () => {
    await browser?.close();
    await app?.stop();
  });

  it('let a reader log in and try a route, in a real browser', async () => {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(error.message));

    await page.goto(`${app.url}/docs`);
    await page.locator('.auth-wrapper .btn.authorize').first().click();
    await page.getByLabel('auth-bearer-value').fill(user.tokens.accessToken);
    await page.locator('.auth-btn-wrapper .btn.authorize').click();
    await page.locator('.auth-btn-wrapper .btn-done').click();

    expect(await tryOut(page, '/api/v1/users/me', 'get')).toEqual([200, expect.stringContaining('Dora Docs')]);
    expect(errors).toEqual([]);
  });

  it('keep the token of whoever logs in on the page', async () => {
    const page = await browser.newPage();
    await page.goto(`${app.url}/docs`);
    const credentials = JSON.stringify({ email: user.user.email, password: PASSWORD });
    expect(await tryOut(page, '/api/v1/auth/login', 'post', credentials)).toEqual([200, expect.any(String)]);
    expect(await tryOut(page, '/api/v1/users/me', 'get')).toEqual([200, expect.stringContaining('Dora Docs')]);
  });

  it('fill in every body, ready to be sent', async () => {
    const page = await browser.newPage();
    await page.goto(`${app.url}/docs`);
    // As it is shown, with nothing typed.
    expect(await tryOut(page, '/api/v1/auth/register', 'post')).toEqual([201, expect.stringContaining('Ann Archer')]);
    expect(await tryOut(page, '/api/v1/accounts', 'post')).toEqual([201, expect.stringContaining('EUR')]);
    // No list is filtered by its examples.
    expect(await tryOut(page, '/api/v1/orders', 'get')).toEqual([200, expect.stringContaining('hasNext')]);
  });

  it('are written down as OpenAPI 3.1, as JSON and as YAML', async () => {
    const json = await app.anonymous.get('/openapi.json');
    expect(json.body).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./), info: { title: expect.any(String) } });
    const outside = Object.keys(json.body.paths).filter((path) => !/^\/api\/v[12]\//.test(path));
    expect(outside.sort()).toEqual(['/.well-known/jwks.json', '/health', '/health/live', '/health/ready']);
    const yaml = await app.anonymous.get('/openapi.yaml');
    expect(yaml.status).toBe(200);
    expect(yaml.text).toMatch(/^openapi: ['"]?3\.1\./m);
  });
});
