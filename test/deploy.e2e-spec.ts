import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { itWithHaproxy } from './haproxy.js';

jest.setTimeout(180_000);

const ROOT = resolve(__dirname, '..');

async function lint(folder: string): Promise<{ code: number | null; faults: string[] }> {
  const script = spawn(process.execPath, [join(ROOT, 'scripts/lint-deploy.mjs'), folder], { cwd: ROOT });
  let text = '';
  script.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const [code] = (await once(script, 'close')) as [number | null];
  return { code, faults: text.split('\n').filter((line) => line.includes(': ')) };
}

describe('what is deployed', () => {
  it('is linted, and each thing that is wrong in it is named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stoa-deploy-'));
    try {
      cpSync(join(ROOT, 'deploy'), folder, { recursive: true });
      expect(await lint(folder)).toEqual({ code: 0, faults: [] });

      const change = (file: string, from: string | RegExp, to: string): void => {
        const before = readFileSync(join(folder, file), 'utf8');
        const after = before.replace(from, to);
        expect(after).not.toBe(before);
        writeFileSync(join(folder, file), after);
      };
      change('compose.yaml', 'read_only: true', 'readonly: true');
      change('compose.yaml', 'SHUTDOWN_DELAY: 4', 'SHUTDOWN_DELAYS: 4');
      change('kubernetes/server.yaml', 'replicas: 2', 'replica: 2');
      change('kubernetes/migration.yaml', 'backoffLimit: 3', 'backoffLimit: three');
      change('kubernetes/server.yaml', /(startupProbe:\n.*)port: http/, '$1port: https');
      change('kubernetes/worker.yaml', /(matchLabels: .*)stoa-worker/, '$1stoa-workers');
      change('kubernetes/worker.yaml', 'readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false');
      change('kubernetes/kustomization.yaml', 'MIGRATE=off', 'MIGRATE=never');
      change('kubernetes/kustomization.yaml', '  - migration.yaml\n', '');
      change('grafana/alerts.yaml', 'severity: page', 'severity: panic');
      const { code, faults } = await lint(folder);
      expect(code).toBe(1);
      for (const [file, named] of [
        ['compose.yaml', 'readonly'],
        ['compose.yaml', 'SHUTDOWN_DELAYS'],
        ['kubernetes/server.yaml', 'Deployment stoa spec.replica:'],
        ['kubernetes/migration.yaml', 'spec.backoffLimit'],
        ['kubernetes/server.yaml', 'startupProbe asks the port https'],
        ['kubernetes/worker.yaml', 'stoa-workers'],
        ['kubernetes/worker.yaml', 'write to its image'],
        ['kubernetes/kustomization.yaml', 'MIGRATE'],
        ['kubernetes/kustomization.yaml', 'migration.yaml is not among the resources'],
        ['grafana/alerts.yaml', 'severity'],
      ] as const) {
        expect(faults).toContainEqual(expect.stringContaining(named));
        expect(faults.find((fault) => fault.includes(named))).toContain(`${file}: `);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  itWithHaproxy('has a load balancer that takes its configuration', () => {
    const { status, stderr } = spawnSync('haproxy', ['-c', '-f', join(ROOT, 'deploy/haproxy.cfg')], {
      encoding: 'utf8',
    });
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  });
});
