// docker-compose.yml, without Docker: it is what the Compose specification allows, keeps a few rules of good stacks, and
// the processes that it describes are started and asked as its users would.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { needs } from '../helpers/need.ts';
import { repositoryRoot } from '../helpers/portico.ts';

const text = readFileSync(join(repositoryRoot, 'docker-compose.yml'), 'utf8');

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly environment?: Readonly<Record<string, string>>;
        readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
        readonly healthcheck?: object;
        readonly volumes?: readonly string[];
        readonly ports?: readonly string[];
        readonly privileged?: boolean;
      }
    >
  >;
}

test('it is as the Compose specification has it', () => {
  // github.com/compose-spec/compose-spec, schema/compose-spec.json of 2026-06-23.
  const schema = JSON.parse(
    readFileSync(join(repositoryRoot, 'test/fixtures/compose-spec.json'), 'utf8'),
  );
  // The older spelling of draft 7's name is the one that is built in.
  schema.$schema = 'http://json-schema.org/draft-07/schema#';
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
  assert.ok(validate(parse(text)), JSON.stringify(validate.errors));
  const wrong = parse(text.replace('depends_on:', 'depend_on:'));
  assert.equal(validate(wrong), false);
});

test('secrets are in files, starts wait for health, one service has a port, no two share a volume', () => {
  const services = Object.entries((parse(text) as Compose).services);
  const volumes = services.flatMap(([, { volumes = [] }]) => volumes);
  assert.equal(new Set(volumes.map((volume) => volume.split(':')[0])).size, volumes.length);
  assert.deepEqual(
    volumes.filter((volume) => /^[./~]/.test(volume)),
    [],
  );
  assert.deepEqual(
    services.flatMap(([name, { ports = [] }]) => (ports.length > 0 ? [name] : [])),
    ['portico'],
  );
  for (const [name, { environment = {}, depends_on = {}, healthcheck, privileged }] of services) {
    for (const [key, value] of Object.entries(environment))
      if (/PASSWORD|SECRET|TOKEN|KEY/.test(key)) assert.match(value, /^\/run\/secrets\//, key);
    for (const { condition } of Object.values(depends_on))
      assert.equal(condition, 'service_healthy');
    assert.ok(healthcheck, `${name} has no health check`);
    assert.ok(!privileged);
  }
  assert.match(readFileSync(join(repositoryRoot, '.gitignore'), 'utf8'), /^secrets\/$/m);
});

const programs = needs('unshare', 'uvicorn', 'pg_isready', 'createdb', 'ip', 'setpriv');
const skip =
  programs.skip ||
  (process.getuid?.() === 0 ? false : 'only root can make namespaces') ||
  (existsSync('/usr/lib/postgresql') ? false : 'no Postgres server on this machine');

test('its processes work together: page, notes in Postgres, replicas by name, loss and scale', {
  skip,
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-stack-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const image of ['web', 'api']) {
    const from = join('examples/compose', image);
    cpSync(join(repositoryRoot, from), join(dir, 'images', from), { recursive: true });
  }
  const heard: Record<string, unknown> = {};
  const healthy: unknown[] = [];
  const program = join(repositoryRoot, 'build/test/deploy/compose-stack.js');
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const web = join(dir, 'images/examples/compose/web');
  const install = spawn(
    'npm',
    ['ci', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund'],
    {
      cwd: web,
      stdio: 'ignore',
    },
  );
  assert.equal(await new Promise((resolve) => install.once('close', resolve)), 0);
  // Postgres goes to its directory as a user of its own.
  chmodSync(dir, 0o755);
  const stack = spawn('unshare', [...namespaces, process.execPath, program, repositoryRoot, dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => void stack.kill('SIGKILL'));
  let printed = '';
  stack.stderr.setEncoding('utf8').on('data', (piece: string) => {
    printed += piece;
  });
  createInterface({ input: stack.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as Record<string, unknown>;
    if ('healthy' in said) healthy.push(said.healthy);
    else Object.assign(heard, said);
  });
  const code = await new Promise((resolve) => stack.once('close', resolve));
  assert.equal(code, 0, `${JSON.stringify(heard)}\n${printed.slice(-6000)}`);

  assert.equal(healthy[0], 'db-1');
  assert.deepEqual(healthy.slice(1, 4).sort(), ['api-1', 'api-2', 'api-3']);
  assert.equal(healthy[4], 'portico-1');
  assert.match(String(heard.page), /<title>Notes/);
  assert.match(String(heard.style), /^text\/css/);
  assert.deepEqual(heard.added, { status: 201, body: { id: '1' } });
  assert.deepEqual(heard.notes, { status: 200, body: [{ id: '1', text: 'kept' }] });
  assert.deepEqual(heard.health, { status: 200, body: { ok: true } });
  const { body } = heard.whoami as { body: Record<string, string> };
  assert.equal(body.scheme, 'http');
  assert.equal(body.client, '127.0.0.1');
  assert.deepEqual(heard.replicas, ['api-1', 'api-2', 'api-3']);
  assert.deepEqual(heard.afterLoss, ['api-1', 'api-3']);
  assert.ok((heard.afterScale as string[]).includes('api-4'));
  assert.equal(heard.exit, 0);
});
