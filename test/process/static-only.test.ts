// A start with files and no app, and error pages through the whole program.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { portico as command } from '../helpers/cli.ts';
import { startPortico } from '../helpers/portico.ts';

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
