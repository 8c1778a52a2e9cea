/**
 * The walls of the house. Two kinds of code live in `src/`: `modules/` is the business, a room each with one door
 * (`index.ts`); everything else is plumbing and knows no business.
 */

/** Which module may call which. A call that is not listed is an error; a module that is not listed may call none. */
const CALLS = {
  auth: ['users', 'mail', 'jobs', 'events'],
  catalogue: ['events'],
  checkout: ['auth', 'orders'],
  events: ['jobs'],
  health: [],
  jobs: [],
  ledger: ['events', 'jobs'],
  mail: ['jobs'],
  orders: ['catalogue', 'ledger', 'users', 'events', 'jobs'],
  users: ['events'],
  webhooks: ['events', 'jobs', 'mail'],
};

/** Programs that something outside starts: the only files of `src/` that nobody has to import. */
const ENTRIES = ['^src/(main|worker|migrate|verify-ledger|import-users|seed)\\.ts$', '^ormconfig\\.ts$'];

/** The wiring and the entries know both modules and plumbing. */
const WIRING = ['^src/app\\.module\\.ts$', ...ENTRIES];

/** What is built and shipped. */
const PRODUCTION = ['^(src|migrations)/', '^ormconfig\\.ts$'];

const SPEC = '\\.spec\\.ts$';
const EMBEDDED_POSTGRES = '^src/database/embedded-postgres\\.ts$';
const TYPEORM = '(^|node_modules/)(@nestjs/)?typeorm(/|$)';

/** One rule for each module, so that an error names the caller and says what it may call. */
const calls = Object.entries(CALLS).map(([caller, callees]) => ({
  name: `calls-of-${caller}`,
  severity: 'error',
  comment: `${caller} may call ${callees.join(', ') || 'no other module'}.`,
  // A unit spec may borrow another room's types to build its example.
  from: { path: `^src/modules/${caller}/`, pathNot: SPEC },
  to: { path: '^src/modules/', pathNot: `^src/modules/(${[caller, ...callees].join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...calls,
    {
      name: 'calls-of-a-module-not-in-the-list',
      severity: 'error',
      comment: 'A new module calls others only when CALLS, at the top of this file, says so.',
      from: { path: `^src/modules/(?!(?:${Object.keys(CALLS).join('|')})/)([^/]+)/`, pathNot: SPEC },
      to: { path: '^src/modules/', pathNot: '^src/modules/$1/' },
    },
    {
      name: 'one-door',
      severity: 'error',
      comment: 'From outside a module only its index.ts may be imported.',
      from: { path: '^src/modules/([^/]+)/' },
      to: { path: '^src/modules/[^/]+/', pathNot: ['^src/modules/$1/', '^src/modules/[^/]+/index\\.ts$'] },
    },
    {
      name: 'one-door-for-the-wiring-and-the-tests',
      severity: 'error',
      comment: 'From outside a module only its index.ts may be imported.',
      from: { pathNot: '^src/modules/' },
      to: { path: '^src/modules/', pathNot: '^src/modules/[^/]+/index\\.ts$' },
    },
    {
      name: 'the-door-shows-no-tables',
      severity: 'error',
      comment:
        'index.ts shows the module, its service and plain types. An entity may leave as a type (`export type`), ' +
        'a repository not at all: who holds one can read and write behind the back of the service.',
      from: { path: '^src/modules/[^/]+/index\\.ts$' },
      to: { path: '\\.entity\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'the-door-shows-no-repository',
      severity: 'error',
      comment: 'Other modules ask the service; a repository stays in its room.',
      from: { path: '^src/modules/[^/]+/index\\.ts$' },
      to: { path: '\\.repository\\.ts$' },
    },
    {
      name: 'plumbing-knows-no-business',
      severity: 'error',
      comment: 'Only the wiring (app.module.ts) and the entries may import modules; the rest of src/ is plumbing.',
      from: { path: '^src/', pathNot: ['^src/modules/', ...WIRING, SPEC] },
      to: { path: '^src/modules/' },
    },
    {
      name: 'migrations-know-no-business',
      severity: 'error',
      comment: 'A migration is never edited once it has landed, so it must not depend on code that goes on changing.',
      from: { path: '^migrations/' },
      to: { path: '^src/modules/' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      comment:
        'Each of two files that need each other can only be understood with the other: split off what both need.',
      from: {},
      // Types count too. Entities alone may hold each other's types: the two sides of a relation do.
      to: { circular: true, via: { pathNot: '\\.entity\\.ts$' } },
    },
    {
      name: 'no-circles-of-entities-when-running',
      severity: 'error',
      comment: 'Of the two sides of a relation one names the other by `import type`; else one is loaded half-made.',
      from: {},
      to: { circular: true, viaOnly: { path: '\\.entity\\.ts$', dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-typeorm-in-services-and-controllers',
      severity: 'error',
      comment: 'Controllers translate, services decide, repositories fetch.',
      from: { path: '\\.(service|controller)\\.ts$' },
      to: { path: TYPEORM },
    },
    {
      name: 'controllers-ask-services',
      severity: 'error',
      comment: 'A controller that fetches for itself goes round the rules its service holds.',
      from: { path: '\\.controller\\.ts$' },
      to: { path: '[./]repository\\.ts$' },
    },
    {
      name: 'nothing-below-a-controller-knows-http',
      severity: 'error',
      comment: 'A service is called by jobs and other modules too, where there is no request.',
      from: { path: '\\.(service|repository|entity|errors|jobs)\\.ts$' },
      to: { path: ['^src/http/', '(^|/)node_modules/(@nestjs/platform-fastify|fastify|@fastify/[^/]+)/'] },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      comment: 'A file that imports nothing and that nothing imports is left over, or is missing from the wiring.',
      // The tools' own files at the root are found by name.
      from: {
        orphan: true,
        path: '^(src|test)/',
        pathNot: [...ENTRIES, '\\.(spec|e2e-spec|d)\\.ts$', '^test/global-(setup|teardown)\\.ts$'],
      },
      to: {},
    },
    {
      name: 'no-dead-code',
      severity: 'error',
      comment:
        'No entry reaches this file: what is shipped but never runs is left over, or is missing from the wiring.',
      from: { path: ENTRIES },
      to: { path: '^src/', pathNot: [...ENTRIES, SPEC, '\\.d\\.ts$'], reachable: false },
    },
    {
      name: 'no-dev-dependencies-in-production',
      severity: 'error',
      comment:
        'The image has no devDependencies. Types are gone by then and may come from one. (pino loads pino-pretty by ' +
        'its name, in a terminal only: that is no import.)',
      from: { path: PRODUCTION, pathNot: [SPEC, EMBEDDED_POSTGRES] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'embedded-postgres-is-the-only-exception',
      severity: 'error',
      comment: 'The embedded database is for development: this file may load that one devDependency and no other.',
      from: { path: EMBEDDED_POSTGRES },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['type-only'],
        pathNot: '(^|/)node_modules/(@embedded-postgres|embedded-postgres)/',
      },
    },
    {
      name: 'embedded-postgres-is-loaded-when-used',
      severity: 'error',
      comment: 'Only `await import()` lets this file itself be loaded where the package is missing.',
      from: { path: EMBEDDED_POSTGRES },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], dynamic: false },
    },
    {
      name: 'only-declared-packages',
      severity: 'error',
      comment: 'A package that only another package brings along may be gone after its next release.',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'only-what-exists',
      severity: 'error',
      comment: 'An import that leads nowhere; also a guard on this file, whose rules see only what was resolved.',
      from: {},
      // The scripts run what has been built, and the walls stand also before that.
      to: { couldNotResolve: true, pathNot: '^(\\.\\./)*dist/' },
    },
    {
      name: 'production-imports-no-tests',
      severity: 'error',
      comment: 'Tests and measurements are not shipped. A unit spec needs them no more: what does is a test over HTTP.',
      from: { path: PRODUCTION },
      to: { path: ['^(test|bench|scripts)/', SPEC] },
    },
  ],
  options: {
    doNotFollow: { path: '(^|/)node_modules/' },
    exclude: { path: '^(dist|coverage|clients|deploy|docs)/' },
    // Imports of types count: a wall that lets types through does not keep a change on one side.
    tsPreCompilationDeps: true,
    // With it a specifier that ends in `.js` is resolved to the `.ts` file that it names.
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'require', 'types'],
      mainFields: ['module', 'main', 'types', 'typings'],
    },
  },
};
