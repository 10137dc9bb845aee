// A browser, a page and its assets over HTTP/2: on the second visit nothing is asked for that it has.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { tempDir } from '../helpers/arbiter.ts';
import { makePair } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import { startPortico } from '../helpers/portico.ts';

const script = `
const entries = () => performance.getEntriesByType('resource').map((entry) => ({
  path: new URL(entry.name).pathname,
  protocol: entry.nextHopProtocol,
  bytes: entry.decodedBodySize,
  sent: entry.transferSize,
}));
addEventListener('load', () => {
  if (location.pathname === '/') {
    sessionStorage.first = JSON.stringify(entries());
    location.href = '/again.html';
  } else {
    const told = { first: JSON.parse(sessionStorage.first), again: entries() };
    document.body.textContent = btoa(JSON.stringify(told));
  }
});
`;
const page = `<!doctype html><meta charset="utf-8"><title>page</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/assets/site.4e5f6a7b.css">
<script src="/assets/app.3f2a9c1b.js"></script><body>page</body>`;

interface Entry {
  readonly path: string;
  readonly protocol: string;
  readonly bytes: number;
  readonly sent: number;
}

test(
  'the second visit of a page takes its assets from the browser’s cache',
  needs('chromium'),
  async (t) => {
    const [dir, site] = [tempDir(t), tempDir(t)];
    const { certPem, keyPem } = await makePair(['127.0.0.1'], {});
    writeFileSync(join(dir, 'pair.pem'), certPem + keyPem);
    mkdirSync(join(site, 'assets'));
    for (const name of ['index.html', 'again.html']) writeFileSync(join(site, name), page);
    writeFileSync(join(site, 'assets/app.3f2a9c1b.js'), script);
    writeFileSync(join(site, 'assets/site.4e5f6a7b.css'), 'body { color: green }\n');
    const log = join(dir, 'access.log');
    const portico = await startPortico(t, [
      ...['--bind', 'https://127.0.0.1:0', '--certfile', join(dir, 'pair.pem')],
      ...['--static', `/=${site}`, '--access-logfile', log],
      ...['--access-logformat', '%(H)s %(s)s %(U)s'],
    ]);
    // To Chromium this one key is right for any name; without it, it would keep nothing it got.
    const spki = new X509Certificate(certPem).publicKey.export({ type: 'spki', format: 'der' });
    const pin = createHash('sha256').update(spki).digest('base64');
    const args = [
      ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...[
        `--user-data-dir=${join(dir, 'profile')}`,
        `--ignore-certificate-errors-spki-list=${pin}`,
      ],
      ...['--virtual-time-budget=20000', '--dump-dom', `${portico.origin}/`],
    ];
    const options = { env: { ...process.env, HOME: dir }, timeout: 60_000 };
    const { stdout } = await promisify(execFile)('chromium', args, options);
    const told = Buffer.from(
      /<body>([\w+/=]+)<\/body>/.exec(stdout)?.[1] ?? '',
      'base64',
    ).toString();
    const { first, again }: { first: Entry[]; again: Entry[] } = JSON.parse(told);
    const paths = ['/assets/app.3f2a9c1b.js', '/assets/site.4e5f6a7b.css'];
    assert.deepEqual(first.map(({ path }) => path).sort(), paths);
    assert.deepEqual(again.map(({ path }) => path).sort(), paths);
    for (const { protocol, sent, bytes } of first) {
      assert.equal(protocol, 'h2');
      assert.ok(sent > 0 && bytes > 0);
    }
    for (const { sent, bytes } of again) assert.ok(sent === 0 && bytes > 0, JSON.stringify(again));

    portico.signal('SIGTERM');
    await portico.exited;
    const lines = readFileSync(log, 'utf8').trim().split('\n').sort();
    assert.deepEqual(lines, [
      'HTTP/2.0 200 /',
      'HTTP/2.0 200 /again.html',
      ...paths.map((path) => `HTTP/2.0 200 ${path}`),
    ]);
  },
);
