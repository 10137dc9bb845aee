// A start with files or routes and no app, and error pages through the whole program.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { askArbiter } from '../../src/arbiter/control/client.ts';
import { portico as command } from '../helpers/cli.ts';
import { startPortico } from '../helpers/portico.ts';
import { statusOf } from '../helpers/status.ts';
import { until } from '../helpers/until.ts';

test('files are served without an app, with a page at "/" and pages for errors', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-only-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'a.txt'), 'a file');
  writeFileSync(join(dir, 'sorry.html'), 'sorry {{status}}');
  const { origin } = await startPortico(
    t,
    ['--static', `/files=${dir}`, '--error-pages', '404=sorry.html'],
    { cwd: dir },
  );
  const html = { headers: { accept: 'text/html' } };
  const welcome = await fetch(`${origin}/`);
  assert.equal(welcome.status, 200);
  assert.match(await welcome.text(), /<h1>It runs\.<\/h1>/);
  assert.equal(await (await fetch(`${origin}/files/a.txt`)).text(), 'a file');
  assert.equal(await (await fetch(`${origin}/files/none`, html)).text(), 'sorry 404');
  assert.match(await (await fetch(`${origin}/files/none`)).text(), /^404 NOT_FOUND/);
  const method = await fetch(`${origin}/files/a.txt`, { ...html, method: 'POST' });
  assert.equal(method.status, 405);
  assert.match(await method.text(), /That can&#39;t be done here/);
});

test('routes alone have no worker, until a reload brings an app, and after one that takes it away', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-only-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'portico.config.json');
  const routes = [{ path: '/route', to: { respond: 200, body: 'route' } }];
  writeFileSync(join(dir, 'app.mjs'), "export const app = (_req, res) => res.end('app');");
  const write = (more: object): void => writeFileSync(file, JSON.stringify({ routes, ...more }));
  write({});
  const portico = await startPortico(t, ['-c', file], { cwd: dir });
  const text = async (path: string) => (await fetch(`${portico.origin}${path}`)).text();
  const workers = async () => (await statusOf(portico.runtimeDir)).workers.length;
  assert.equal(await text('/route'), 'route');
  assert.match(await text('/'), /^404 NOT_FOUND/);
  assert.equal(await text('/-/readyz'), 'ready\n');
  assert.equal(await workers(), 0);
  const scaled = await askArbiter(portico.runtimeDir, { command: 'scale', workers: 2 });
  assert.deepEqual(scaled, { ok: false, problems: ['There is no app'] });
  let generation = 1;
  for (const app of [null, 'app.mjs:app', null]) {
    write(app === null ? {} : { app });
    const reloaded = await askArbiter(portico.runtimeDir, { command: 'reload' });
    assert.deepEqual(reloaded, { ok: true, command: 'reload', generation: ++generation });
    assert.equal(await text('/route'), 'route');
    assert.match(await text('/'), app === null ? /^404 NOT_FOUND/ : /^app$/);
    assert.equal(await text('/-/readyz'), 'ready\n');
  }
  await until('the end of the worker', async () => (await workers()) === 0);
  portico.signal('SIGTERM');
  assert.equal(await portico.exited, 0);
});

test('an error page that is not there is a problem of the settings', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-only-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const ran = await command(
    ['--static', '/=.', '--error-pages', '404=none.html', '--check-config'],
    {
      cwd: dir,
    },
  );
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /Cannot use errorPages "404=.*none\.html" .*: there is no file/);
  const wrong = await command(['--error-pages', '200=x.html', 'app.js'], { cwd: dir });
  assert.match(wrong.stderr, /expected STATUS=FILE, where STATUS is 400 to 599, 4xx or 5xx/);
  assert.equal((await command(['--static', '/=.', '--check-config'], { cwd: dir })).code, 0);
});
