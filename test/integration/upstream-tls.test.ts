// https upstreams: who has no valid certificate for the name gets no request.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { UpstreamTarget } from '../../src/config/upstream-config.ts';
import { type MadePair, makeCaPair, makePair } from '../helpers/certificates.ts';
import { until } from '../helpers/until.ts';
import { fakeDns, tcpServer, upstreamEdge } from '../helpers/upstream-edge.ts';

function https(host: string, port: number): UpstreamTarget {
  return { protocol: 'https', kind: 'tcp', host, port, path: '', weight: 1 };
}

/** Answers with the name it was asked for by SNI. */
async function secureServer(t: TestContext, pair: MadePair) {
  let handshakes = 0;
  let reused = 0;
  const server = createServer({ cert: pair.certPem, key: pair.keyPem }, (request, response) =>
    response.end(`asked for ${String((request.socket as TLSSocket).servername)}`),
  );
  server.on('secureConnection', (socket) => {
    handshakes++;
    if (socket.isSessionReused()) reused++;
  });
  const { port } = await tcpServer(t, () => {}, { server: server as unknown as Server });
  return { port, counts: () => ({ handshakes, reused }) };
}

function caFile(t: TestContext, ca: MadePair): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-ca-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'ca.pem');
  writeFileSync(path, ca.certPem);
  return path;
}

test('a certificate of the CA for the name is good, and its name is asked for', async (t) => {
  const ca = await makeCaPair('Test');
  const { port, counts } = await secureServer(t, await makePair(['api.test'], { issuer: ca }));
  const dns = await fakeDns(t, { 'api.test': ['127.0.0.1'] });
  const tls = { caFile: caFile(t, ca), serverName: null, verify: true };
  const edge = await upstreamEdge(t, { targets: [https('api.test', port)], tls, keepAliveMs: 0 }, [
    dns.address,
  ]);
  for (let n = 0; n < 3; n++) assert.equal((await edge.get()).body, 'asked for api.test');
  await until('a session that is used again', () => counts().reused > 0);
  // By its address, with the name said in the settings.
  const named = await upstreamEdge(t, {
    targets: [https('127.0.0.1', port)],
    tls: { ...tls, serverName: 'api.test' },
  });
  assert.equal((await named.get()).body, 'asked for api.test');
});

const wrong: readonly (readonly [string, RegExp, (ca: MadePair) => Promise<MadePair>])[] = [
  [
    'for another name',
    /altnames|does not match/i,
    (ca) => makePair(['other.test'], { issuer: ca }),
  ],
  ['of nobody', /self.signed/i, () => makePair(['api.test'])],
  [
    'of another CA',
    /unable to|self.signed/i,
    async () => makePair(['api.test'], { issuer: await makeCaPair('Other') }),
  ],
  ['that is over', /expired/i, (ca) => makePair(['api.test'], { issuer: ca, days: -1 })],
];

for (const [what, reason, make] of wrong)
  test(`a certificate ${what} is a 503 with the reason, and no byte of a request`, async (t) => {
    const ca = await makeCaPair('Test');
    const { port } = await secureServer(t, await make(ca));
    const dns = await fakeDns(t, { 'api.test': ['127.0.0.1'] });
    const settings = {
      targets: [https('api.test', port)],
      connectTimeoutMs: 300,
      tls: { caFile: caFile(t, ca), serverName: null, verify: true },
    };
    const edge = await upstreamEdge(t, settings, [dns.address]);
    assert.equal((await edge.get()).status, 503);
    const text = edge.logged.join('\n');
    assert.match(text, /warning an upstream cannot be reached/);
    assert.match(text, reason);
    const lax = await upstreamEdge(t, { ...settings, tls: { ...settings.tls, verify: false } }, [
      dns.address,
    ]);
    assert.equal((await lax.get()).status, 200);
  });

test('a server that speaks no TLS, or that stops in the handshake, gets no request', async (t) => {
  const { port } = await tcpServer(t, (_request, response) => response.end('plain'));
  const edge = await upstreamEdge(t, {
    targets: [https('127.0.0.1', port)],
    connectTimeoutMs: 200,
  });
  assert.equal((await edge.get()).status, 503);
});

test('a CA file that is not there stops the start', async (t) => {
  await assert.rejects(
    upstreamEdge(t, {
      targets: [https('127.0.0.1', 9)],
      tls: { caFile: '/nowhere/ca.pem', serverName: null, verify: true },
    }),
    /ENOENT/,
  );
});
