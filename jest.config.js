/**
 * Nest and its friends are ES modules, their dependencies are CommonJS that requires them back, and Jest's own module
 * system can not load that mix. So everything, packages included, is compiled to CommonJS on the way in.
 */
const transform = {
  '^.+\\.[cm]?[jt]s$': [
    '@swc/jest',
    {
      jsc: {
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        target: 'es2023',
      },
      module: { type: 'commonjs' },
      sourceMaps: 'inline',
    },
  ],
};

const common = {
  testEnvironment: 'node',
  transform,
  transformIgnorePatterns: [],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'] },
};

/** @type {import('jest').Config} */
export default {
  // The servers under test mostly wait, for timers and for each other.
  maxWorkers: '100%',
  testSequencer: '<rootDir>/test/sequencer.mjs',
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/src/**/*.spec.ts'] },
    {
      ...common,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'],
      globalSetup: '<rootDir>/test/global-setup.ts',
      globalTeardown: '<rootDir>/test/global-teardown.ts',
    },
  ],
};
