// keepBuilds through the whole program: two deploys and a reload, and a tab that is still open.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

test('after two deploys the assets of the first are there, after three they are not', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'portico-deploy-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, 'dist');
  const deploy = (hash: string): void => {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(join(dir, 'assets'), { recursive: true });
    writeFileSync(join(dir, 'index.html'), `<script src="/assets/app.${hash}.js">`);
    writeFileSync(join(dir, 'assets', `app.${hash}.js`), `// ${hash}`);
  };
  deploy('aaaa1111');
  const mount = { prefix: '/', dir, fallback: 'index.html', keepBuilds: 1 };
  const config = { static: [mount], staticStore: join(base, 'store'), workers: 1 };
  writeFileSync(join(base, 'portico.config.json'), JSON.stringify(config));
  const app = join(repositoryRoot, 'test/fixtures/echo-app.mjs');
  const portico = await startPortico(t, ['-c', join(base, 'portico.config.json'), app]);
  const kept = /kept a build of static files/;
  await portico.logged(kept);
  const status = async (hash: string) => {
    const response = await fetch(`${portico.origin}/assets/app.${hash}.js`);
    const text = await response.text();
    if (response.status === 200) assert.equal(text, `// ${hash}`);
    else assert.equal(response.headers.get('cache-control'), 'no-store');
    return response.status;
  };
  assert.equal(await status('aaaa1111'), 200);

  deploy('bbbb2222');
  assert.equal(await status('aaaa1111'), 200, 'kept since the start, before any reload');
  let from = portico.log().length;
  portico.signal('SIGHUP');
  await portico.logged(kept, { from });
  assert.equal(await status('aaaa1111'), 200);
  assert.equal(await status('bbbb2222'), 200);
  assert.equal(await status('cccc3333'), 404);

  deploy('cccc3333');
  from = portico.log().length;
  portico.signal('SIGHUP');
  await portico.logged(kept, { from });
  assert.equal(await status('aaaa1111'), 404, 'one earlier build is kept');
  assert.equal(await status('bbbb2222'), 200);
  assert.equal(await status('cccc3333'), 200);
  assert.doesNotMatch(portico.log(), /cannot keep/);
});
