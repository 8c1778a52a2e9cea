// `npm run client` writes the types of the TypeScript client from openapi.json; with --check it fails where they differ.
import { readFileSync, writeFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const FILE = 'clients/typescript/src/schema.ts';
const HEADER = '// Made from openapi.json by `npm run client`: change the document, not this file.\n\n';

const schema = await openapiTS(new URL('../openapi.json', import.meta.url), { alphabetize: true, rootTypes: false });
const types = HEADER + astToString(schema);

if (!process.argv.includes('--check')) {
  writeFileSync(FILE, types);
} else if (readFileSync(FILE, 'utf8') !== types) {
  console.error(`${FILE} is not what openapi.json says: run npm run client`);
  process.exit(1);
}
