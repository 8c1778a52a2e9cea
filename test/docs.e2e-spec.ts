import { type App, startApp, type UserClient } from './app.js';
import { openBrowser, type TestBrowser } from './browser.js';

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

    const route = page.locator('.opblock-get').filter({ has: page.locator('[data-path="/api/v1/users/me"]') });
    await route.locator('.opblock-summary-control').click();
    await route.getByRole('button', { name: 'Try it out' }).click();
    await route.getByRole('button', { name: 'Execute' }).click();
    const answer = route.locator('.live-responses-table .response').first();
    expect(await answer.locator('.response-col_status').innerText()).toContain('200');
    expect(await answer.locator('.highlight-code').first().innerText()).toContain('Dora Docs');
    expect(errors).toEqual([]);
  });

  it('are written down as OpenAPI 3.1, as JSON and as YAML', async () => {
    const json = await app.anonymous.get('/openapi.json');
    expect(json.body).toMatchObject({ openapi: expect.stringMatching(/^3\.1\./), info: { title: expect.any(String) } });
    const paths = Object.keys(json.body.paths).filter((path) => !path.startsWith('/health'));
    expect(paths.filter((path) => !path.startsWith('/api/v1/'))).toEqual([]);
    const yaml = await app.anonymous.get('/openapi.yaml');
    expect(yaml.status).toBe(200);
    expect(yaml.text).toMatch(/^openapi: ['"]?3\.1\./m);
  });

  it('say of every route what it is for, who may call it and what can go wrong', async () => {
    const { paths } = (await app.anonymous.get('/openapi.json')).body;
    const operations = Object.values<any>(paths).flatMap((path) => Object.values<any>(path));
    expect(operations.length).toBeGreaterThan(20);
    for (const operation of operations) {
      expect(operation).toMatchObject({ summary: expect.stringMatching(/\w/), tags: [expect.any(String)] });
      expect(operation.operationId).toEqual(expect.any(String));
    }
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });
});
