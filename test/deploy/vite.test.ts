// Vite's hot reload through the whole program: its server as an upstream, and as middleware of an app.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tempDir } from '../helpers/arbiter.ts';
import { type PorticoProcess, repositoryRoot, startPortico } from '../helpers/portico.ts';
import { freePort } from '../helpers/ports.ts';
import { openWebSocket } from '../helpers/websockets.ts';

test('a page of Vite’s server behind a route is updated when its file changes', async (t) => {
  const [root, config] = [site(t), join(tempDir(t), 'portico.config.json')];
  const port = await freePort();
  const bin = join(repositoryRoot, 'node_modules/vite/bin/vite.js');
  const args = ['--host', '127.0.0.1', '--port', String(port), '--strictPort'];
  const vite = spawn(process.execPath, [bin, root, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    vite.kill();
    await once(vite, 'exit');
  });
  writeFileSync(config, JSON.stringify({ routes: [{ to: `http://127.0.0.1:${port}` }] }));
  await once(vite.stdout, 'data');
  await isUpdated(await startPortico(t, ['-c', config]), root);
});

test('a page of an app that has Vite in it is updated when its file changes', async (t) => {
  const root = site(t);
  const app = 'test/fixtures/apps/upgrade/vite.mjs';
  const env = { VITE_ROOT: root, NODE_ENV: 'development' };
  await isUpdated(await startPortico(t, ['-w', '1', app], { env }), root);
});

function site(t: TestContext): string {
  const root = tempDir(t);
  writeFileSync(join(root, 'index.html'), '<script type="module" src="/main.js"></script>');
  writeFileSync(join(root, 'main.js'), 'import.meta.hot.accept(); console.log("first");');
  return root;
}

/** What the page's client does: it connects with the token it was given, and is told what to load anew. */
async function isUpdated({ origin, port }: PorticoProcess, root: string): Promise<void> {
  const text = async (path: string) => (await fetch(`${origin}${path}`)).text();
  assert.match(await text('/'), /<script type="module" src="\/@vite\/client">/);
  const token = /wsToken = "([\w-]+)"/.exec(await text('/@vite/client'))?.[1];
  assert.match(await text('/main.js'), /first/);
  const { socket, messages } = await openWebSocket(`ws://127.0.0.1:${port}/?token=${token}`, {
    ...{ origin, protocols: ['vite-hmr'] },
  });
  assert.equal(socket.protocol, 'vite-hmr');
  assert.deepEqual(JSON.parse(String(await messages.next())), { type: 'connected' });
  // Its watcher may not be there yet.
  const editing = setInterval(() => {
    writeFileSync(join(root, 'main.js'), `import.meta.hot.accept(); ("second", ${Date.now()});`);
  }, 100);
  const { type, updates } = JSON.parse(String(await messages.next()));
  clearInterval(editing);
  assert.deepEqual([type, updates[0].path], ['update', '/main.js']);
  assert.match(await text(`/main.js?t=${updates[0].timestamp}`), /second/);
  socket.terminate();
}
