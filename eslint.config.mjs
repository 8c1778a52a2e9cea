import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import prettier from 'eslint-config-prettier/flat';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const ENVIRONMENT = 'The environment is read in src/config.ts and nowhere else, so that one list has every variable.';

/** The ways to `process.env` that are not written so. */
const ENVIRONMENT_BY_ANOTHER_WAY = [
  'ImportDeclaration[source.value=/^(node:)?process$/] ImportSpecifier[imported.name="env"]',
  'MemberExpression[property.name="env"] > MemberExpression.object[property.name="process"]',
].map((selector) => ({ selector, message: ENVIRONMENT }));

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', '.data/', 'clients/*/dist/', 'clients/typescript/src/schema.ts']),
  // A comment that silences a rule goes when what it silenced has gone.
  { linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    // From tsconfig.json it also learns `emitDecoratorMetadata`, which consistent-type-imports has to know.
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: ENVIRONMENT }],
      'no-restricted-syntax': ['error', ...ENVIRONMENT_BY_ANOTHER_WAY],

      // A file with decorators is left alone by this rule: what a constructor injects must stay a value there, since
      // the emitted metadata names it.
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': ['error', { fixMixedExportsWithInlineTypeSpecifier: true }],
      // A promise that nobody awaits fails unseen and may outlive its transaction.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // The compiler's own exception, so that both agree.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],

      // Nest's modules are classes without members, whose content is their decorator.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // Guards, pipes and job handlers are asynchronous by their interface, whether or not one of them waits.
      '@typescript-eslint/require-await': 'off',
      // A number has one spelling; null, objects and booleans in a text stay mistakes.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // What Nest shows is a class only so that OpenAPI can be derived from it: it has no behaviour, and one function
      // writes it as a literal.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // The compiler refuses a void value where a value is due; the rest, such as `return this.refuse(…)`, is style.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // `while (true)` says what it means.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      // Logs are one JSON line each, by the logger.
      'no-console': 'error',
      'no-restricted-imports': [
        'error',
        { name: '@nestjs/common', importNames: ['forwardRef'], message: 'No circles: split off what both need.' },
      ],
    },
  },
  {
    files: ['src/modules/**/*.{service,repository,entity,errors,jobs}.ts'],
    rules: {
      // Errors say what; the filter says which number.
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['@nestjs/common'],
              importNamePattern: '(Exception|^HttpStatus|^forwardRef)$',
              message: 'Nothing below a controller knows HTTP: throw a DomainError; and no circles.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/config.ts', 'src/**/*.spec.ts', 'test/**', 'bench/**', 'scripts/**'],
    rules: { 'no-restricted-properties': 'off', 'no-restricted-syntax': 'off' },
  },
  {
    files: ['src/**/*.spec.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // Answers come as JSON, which is `any`: the assertions, and the OpenAPI document, say what is in them.
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      // `afterAll` also runs where `beforeAll` failed before it set what it should.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // A wrong `!` fails the test, which is what the assertion before it would do.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `expect(service.method)` names a method without calling it.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    // Runs outside of Jest's modules, so it loads by path and says by `import()` types what it gets.
    files: ['test/global-setup.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { globals: globals.node },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs' },
  },
  // Last: layout is Prettier's, and no rule here may argue with it.
  prettier,
);
