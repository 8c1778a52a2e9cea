import type { INestApplication } from '@nestjs/common';
import { type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';

/** Serves the document and a page to try it out on. Made when it is first asked for: a server starts without. */
export function serveDocument(app: INestApplication, make: () => OpenAPIObject): void {
  const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
  const document = once(make);
  const json = once(() => JSON.stringify(document()));
  const yaml = once(async () => {
    const { dump } = await import('js-yaml');
    // Every part is written out: what it refers to is clear enough in JSON's own `$ref`.
    return dump(JSON.parse(json()), { noRefs: true });
  });
  fastify.get('/openapi.json', (_request, reply) => reply.type('application/json').send(json()));
  fastify.get('/openapi.yaml', async (_request, reply) => reply.type('application/yaml').send(await yaml()));
  SwaggerModule.setup('docs', app, document, {
    raw: false,
    customSiteTitle: 'Stoa',
    customCss: STYLE,
    swaggerOptions: {
      deepLinking: true,
      defaultModelExpandDepth: 3,
      // The shapes stand with the routes that use them.
      defaultModelsExpandDepth: -1,
      displayRequestDuration: true,
      docExpansion: 'list',
      filter: true,
      persistAuthorization: true,
      responseInterceptor: keepAccessToken,
      tryItOutEnabled: true,
      validatorUrl: null,
    },
  });
}

function once<T extends object | string>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Without the bar that only names the tool, and without the headers that every failure bears again. */
const STYLE = `
  .swagger-ui .topbar { display: none }
  .swagger-ui .response:is([data-code^='4'], [data-code^='5']) .headers-wrapper { display: none }
  .swagger-ui .info details > summary { cursor: pointer }
  .swagger-ui .info table tbody tr td { padding: 4px 8px 4px 0 }
`;

interface Page {
  ui?: { preauthorizeApiKey(scheme: string, token: string): void };
}

/** Runs in the reader's browser: whoever logs in there is logged in for all that they try next. */
function keepAccessToken(response: { ok: boolean; url: string; text?: string }): unknown {
  if (response.ok && /\/auth\/(register|login|refresh)$/.test(response.url)) {
    const answer = JSON.parse(response.text ?? '{}') as { data?: { accessToken?: string } };
    const token = answer.data?.accessToken;
    if (token !== undefined) (globalThis as Page).ui?.preauthorizeApiKey('bearer', token);
  }
  return response;
}
