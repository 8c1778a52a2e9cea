// `npm run openapi` writes the document that the built server publishes; with --check it fails where that differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { withServer } from './server.mjs';

const FILE = 'openapi.json';

const published = await withServer(async (url) => {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  return `${JSON.stringify(document, null, 2)}\n`;
});

if (!process.argv.includes('--check')) {
  writeFileSync(FILE, published);
} else if (readFileSync(FILE, 'utf8') !== published) {
  console.error(`${FILE} is not what the server publishes: run npm run openapi`);
  process.exit(1);
}
