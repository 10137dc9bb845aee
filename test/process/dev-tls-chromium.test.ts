// A browser, the development CA, and the commands that portico cert dev prints.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyPairFromPem, keyToPem, makeKeyPair } from '../../src/certificates/keys.ts';
import { makeLeaf } from '../../src/certificates/make.ts';
import { tempDir } from '../helpers/arbiter.ts';
import { portico } from '../helpers/cli.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const app = join(repositoryRoot, 'test/fixtures/echo-app.mjs');

/** The page as Chromium has it, or the error that it names. */
function load(home: string, url: string): Promise<string> {
  const args = [
    ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    `--user-data-dir=${join(home, 'profile')}`,
    '--host-resolver-rules=MAP *.test 127.0.0.1, MAP www.example.com 127.0.0.1',
    ...['--dump-dom', url],
  ];
  const options = { env: { ...process.env, HOME: home }, timeout: 60_000 };
  return new Promise((done) => {
    execFile('chromium', args, options, (_error, stdout, stderr) => {
      done(/net::(ERR_\w+)/.exec(stderr)?.[1] ?? stdout);
    });
  });
}

test(
  'Chromium takes what the CA vouches for once it is trusted, and nothing beyond',
  needs('chromium', 'certutil'),
  async (t) => {
    const [home, data] = [tempDir(t), tempDir(t)];
    const env = { XDG_DATA_HOME: data };
    mkdirSync(join(home, 'profile'));
    const bind = ['--bind', 'https://127.0.0.1:0', '--workers', '1'];
    const { port } = await startPortico(t, ['--tls', 'dev:shop.test', ...bind, app], { env });
    assert.equal(await load(home, `https://shop.test:${port}/`), 'ERR_CERT_AUTHORITY_INVALID');

    const { stdout } = await portico(['cert', 'dev'], { cwd: home, env });
    const commands = stdout
      .split('\n')
      .filter((line) => /^ +(mkdir|certutil) .*pki\/nssdb/.test(line));
    execFileSync('sh', ['-ec', commands.join('\n')], {
      env: { ...process.env, HOME: home },
      stdio: 'ignore',
    });
    assert.match(await load(home, `https://shop.test:${port}/`), /GET \/ 0/);
    assert.match(await load(home, `https://localhost:${port}/`), /GET \/ 0/);

    // What somebody could do with a stolen CA key.
    const stolen = readFileSync(join(data, 'portico/dev-ca/ca.key.pem'), 'utf8');
    const issuer = {
      certificate: new X509Certificate(stolen.slice(stolen.indexOf('-----BEGIN CERT'))),
      privateKey: keyPairFromPem(stolen).privateKey,
    };
    const key = await makeKeyPair();
    const leaf = await makeLeaf({
      issuer,
      publicKey: key.publicKey,
      hosts: ['www.example.com'],
      nowMs: Date.now(),
      lifetimeMs: 86_400_000,
    });
    const server = createServer({ key: keyToPem(key.privateKey), cert: leaf.pem }, (_req, res) =>
      res.end('stolen'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const url = `https://www.example.com:${(server.address() as AddressInfo).port}/`;
    assert.equal(await load(home, url), 'ERR_CERT_INVALID');
  },
);
