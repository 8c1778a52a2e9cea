/**
 * Checks what is in `deploy/` without Docker, a cluster or a network: `node scripts/lint-deploy.mjs [folder]`.
 *
 * compose.yaml by the schema of the Compose specification, Kubernetes manifests by the types that are generated from
 * Kubernetes's own OpenAPI document (an object literal may have no property that its type does not know, which a JSON
 * schema of it would let pass), and every setting in either by the server's own reading of it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';
import { ConfigError, readConfig } from '../dist/src/config.js';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const folder = resolve(process.argv[2] ?? join(ROOT, 'deploy'));
const faults = [];
const fault = (file, text) => faults.push(`${file}: ${text}`);

/** Every document of a file. What YAML itself would not let pass, such as a key that is there twice, is a fault. */
function read(file) {
  const documents = parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { merge: true });
  for (const { errors, warnings } of documents)
    for (const { message } of [...errors, ...warnings]) fault(file, message.split('\n')[0]);
  return documents.map((document) => document.toJS() ?? {});
}

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats.default(ajv);
// Compose's own, which is not that of ISO 8601.
ajv.addFormat('duration', /^(\d+(\.\d+)?(us|ms|s|m|h))+$/);
for (const format of ['expose', 'ports', 'subnet_ip_address']) ajv.addFormat(format, true);

/** The schema of https://github.com/compose-spec/compose-spec, as a linter brings it along. */
const COMPOSE = JSON.parse(readFileSync(join(ROOT, 'node_modules/dclint/schemas/compose.schema.json'), 'utf8'));
delete COMPOSE.$schema; // draft 7, by an address that is not quite its own

function checkBySchema(file, value, validate) {
  if (validate(value)) return;
  for (const { instancePath, message, params } of validate.errors) {
    fault(
      file,
      `${instancePath || '/'} ${message}${params.additionalProperty ? `: ${params.additionalProperty}` : ''}`,
    );
  }
}

// What a deployment leaves to whoever deploys, as one could fill it in.
const LEFT_OPEN = {
  DATABASE_URL: 'postgres://stoa:stoa@postgres/stoa',
  REDIS_URL: 'redis://redis',
  JWT_SECRET: 'a-secret-of-forty-characters-for-linting',
  ADMIN_EMAIL: 'admin@example.com',
  ADMIN_PASSWORD: 'Correct-Horse-9',
  SMTP_URL: 'smtp://mail',
};

/** Whether the server would start with these settings, and knows them all. */
function checkSettings(file, settings) {
  const asked = new Set();
  const environment = new Proxy(
    { ...LEFT_OPEN, ...settings },
    { get: (all, name) => (asked.add(name), typeof all[name] === 'number' ? String(all[name]) : all[name]) },
  );
  try {
    readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const each of error.faults) fault(file, `the server would not start: ${each}`);
  }
  for (const name of Object.keys(settings)) if (!asked.has(name)) fault(file, `no such setting: ${name}`);
}

function checkCompose(file) {
  const [compose] = read(file);
  checkBySchema(file, compose, ajv.compile(COMPOSE));
  const services = Object.entries(compose.services ?? {});
  for (const [name, { environment = {}, volumes = [], depends_on: needs = [], build }] of services) {
    for (const other of Array.isArray(needs) ? needs : Object.keys(needs)) {
      if (!(other in compose.services)) fault(file, `${name} depends on ${other}, which there is not`);
    }
    for (const volume of volumes) {
      const [source] = typeof volume === 'string' ? volume.split(':') : [volume.source];
      const isFile = source.startsWith('.');
      if (isFile && !readdirSync(join(folder, dirname(source))).includes(source.split('/').at(-1)))
        fault(file, `${name} mounts ${source}, which there is not`);
      if (!isFile && !(source in (compose.volumes ?? {}))) fault(file, `${name} mounts the undeclared ${source}`);
    }
    // Ours, as opposed to what is taken ready-made.
    if (build !== undefined) checkSettings(file, withoutVariables(environment));
  }
}

/** `${NAME:-default}` and `${NAME:?…}`, as where nothing more is given than what has to be. */
const withoutVariables = (environment) =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      typeof value === 'string'
        ? value.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, variable, kind, rest) =>
            kind === '-' ? rest : (LEFT_OPEN[variable] ?? ''),
          )
        : value,
    ]),
  );

/** https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/: those of its fields that we use. */
const KUSTOMIZATION = ajv.compile({
  type: 'object',
  required: ['apiVersion', 'kind', 'resources'],
  additionalProperties: false,
  properties: {
    apiVersion: { const: 'kustomize.config.k8s.io/v1beta1' },
    kind: { const: 'Kustomization' },
    namespace: { type: 'string' },
    labels: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pairs'],
        additionalProperties: false,
        properties: {
          pairs: { type: 'object', additionalProperties: { type: 'string' } },
          includeSelectors: { type: 'boolean' },
          includeTemplates: { type: 'boolean' },
        },
      },
    },
    resources: { type: 'array', items: { type: 'string' } },
    configMapGenerator: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'literals'],
        additionalProperties: false,
        properties: { name: { type: 'string' }, literals: { type: 'array', items: { type: 'string', pattern: '=' } } },
      },
    },
    images: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name'],
        additionalProperties: false,
        properties: { name: { type: 'string' }, newName: { type: 'string' }, newTag: { type: 'string' } },
      },
    },
  },
});

function checkKubernetes(sub) {
  const main = `${sub}/kustomization.yaml`;
  const [kustomization] = read(main);
  checkBySchema(main, kustomization, KUSTOMIZATION);
  const files = readdirSync(join(folder, sub)).filter((name) => name !== 'kustomization.yaml');
  const named = kustomization.resources ?? [];
  for (const name of files) if (!named.includes(name)) fault(main, `${name} is not among the resources`);
  for (const name of named) if (!files.includes(name)) fault(main, `there is no ${name}`);

  const objects = files.flatMap((name) => read(`${sub}/${name}`).map((object) => ({ file: `${sub}/${name}`, object })));
  checkTypes(objects);

  const maps = kustomization.configMapGenerator ?? [];
  for (const { literals = [] } of maps) checkSettings(main, Object.fromEntries(literals.map(split)));
  const has = (kind, name) => objects.some(({ object }) => object.kind === kind && object.metadata?.name === name);
  const pods = objects.filter(({ object }) => object.spec?.template?.spec?.containers);
  for (const { file, object } of pods) {
    const { metadata, spec } = object.spec.template;
    const selected = object.spec.selector?.matchLabels ?? {};
    for (const [label, value] of Object.entries(selected)) {
      if (metadata?.labels?.[label] !== value)
        fault(file, `${object.kind} selects ${label}=${value}, its pods lack it`);
    }
    if (spec.serviceAccountName && !has('ServiceAccount', spec.serviceAccountName))
      fault(file, `there is no ServiceAccount ${spec.serviceAccountName}`);
    for (const container of spec.containers) checkContainer(file, container, maps, kustomization.images ?? []);
  }
  for (const { file, object } of objects) {
    const { kind, spec } = object;
    if (kind === 'HorizontalPodAutoscaler' && !has(spec?.scaleTargetRef?.kind, spec?.scaleTargetRef?.name))
      fault(file, `there is no ${spec?.scaleTargetRef?.kind} ${spec?.scaleTargetRef?.name} to scale`);
    const wanted = Object.entries((kind === 'Service' ? spec?.selector : spec?.selector?.matchLabels) ?? {});
    if (['Service', 'PodDisruptionBudget'].includes(kind)) {
      const isMet = ({ object: { spec: { template } } }) => wanted.every(([label, v]) => template.metadata?.labels?.[label] === v); // prettier-ignore
      if (!pods.some(isMet)) fault(file, `${kind} selects no pod`);
    }
  }
}

const split = (literal) => [literal.slice(0, literal.indexOf('=')), literal.slice(literal.indexOf('=') + 1)];

function checkContainer(file, container, maps, images) {
  const { name, image, env = [], envFrom = [], ports = [] } = container;
  if (!images.some((each) => each.name === image)) fault(file, `${name}: no tag is set for the image ${image}`);
  for (const { configMapRef } of envFrom) {
    if (configMapRef && !maps.some((map) => map.name === configMapRef.name))
      fault(file, `${name}: there is no ConfigMap ${configMapRef.name}`);
  }
  checkSettings(file, Object.fromEntries(env.map((each) => [each.name, each.value])));
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const port = container[probe]?.httpGet?.port;
    if (typeof port === 'string' && !ports.some((each) => each.name === port))
      fault(file, `${name}: the ${probe} asks the port ${port}, which has no number`);
  }
  const { allowPrivilegeEscalation, readOnlyRootFilesystem } = container.securityContext ?? {};
  if (allowPrivilegeEscalation !== false || readOnlyRootFilesystem !== true)
    fault(file, `${name}: may gain rights, or write to its image`);
  if (!container.resources?.requests || !container.resources?.limits?.memory)
    fault(file, `${name}: says not what it needs`);
}

/** As TypeScript sees them: each object a literal of the type that its `apiVersion` and `kind` name. */
function checkTypes(objects) {
  const name = join(ROOT, 'deploy.lint.ts');
  const lines = objects.map(({ object: { apiVersion = '', kind = '', ...rest } }, i) => {
    const group = apiVersion.includes('/') ? apiVersion.replace('.k8s.io', '') : `core/${apiVersion}`;
    const type = `import('kubernetes-types/${group}').${kind || 'MissingKind'}`;
    return `const object${i}: ${type} = ${JSON.stringify({ apiVersion, kind, ...rest })};`;
  });
  const options = {
    strict: true,
    noEmit: true,
    types: [],
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.getSourceFile = (path, ...rest) =>
    path === name
      ? ts.createSourceFile(path, lines.join('\n'), ts.ScriptTarget.ES2023, true)
      : getSourceFile(path, ...rest);
  const program = ts.createProgram([name], options, host);
  for (const { file: source, start = 0, messageText } of ts.getPreEmitDiagnostics(program)) {
    const { line } = source?.getLineAndCharacterOfPosition(start) ?? { line: 0 };
    const { file, object } = objects[line] ?? { file: 'kubernetes', object: {} };
    const path = source ? pathTo(source, start) : '';
    const text = ts.flattenDiagnosticMessageText(messageText, ' ').replaceAll(/import\("[^"]*"\)\./g, '');
    fault(file, `${object.kind} ${object.metadata?.name} ${path}: ${text}`);
  }
}

/** The names of the properties around a place in the text. */
function pathTo(source, position) {
  const names = [];
  const visit = (node) => {
    if (position < node.getStart(source) || position >= node.end) return;
    if (ts.isPropertyAssignment(node)) names.push(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names.join('.');
}

/** https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/ */
const RULES = ajv.compile({
  type: 'object',
  required: ['groups'],
  additionalProperties: false,
  properties: {
    groups: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'rules'],
        additionalProperties: false,
        properties: {
          name: { type: 'string' },
          interval: { type: 'string', pattern: '^\\d+[smhd]$' },
          rules: {
            type: 'array',
            items: {
              type: 'object',
              required: ['alert', 'expr', 'labels', 'annotations'],
              additionalProperties: false,
              properties: {
                alert: { type: 'string', pattern: '^Stoa[A-Z]\\w+$' },
                expr: { type: 'string' },
                for: { type: 'string', pattern: '^\\d+[smhd]$' },
                labels: {
                  type: 'object',
                  required: ['severity'],
                  additionalProperties: { type: 'string' },
                  properties: { severity: { enum: ['page', 'ticket'] } },
                },
                annotations: {
                  type: 'object',
                  required: ['summary'],
                  additionalProperties: { type: 'string' },
                },
              },
            },
          },
        },
      },
    },
  },
});

checkCompose('compose.yaml');
checkKubernetes('kubernetes');
checkBySchema('grafana/alerts.yaml', read('grafana/alerts.yaml')[0], RULES);

for (const each of faults) console.error(each);
if (faults.length > 0) {
  console.error(`\n${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`);
  process.exitCode = 1;
} else {
  console.log('deploy: no faults');
}
