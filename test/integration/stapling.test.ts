// OCSP stapling with a real responder, as openssl's client sees it; and responders that misbehave.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, type TestContext, test } from 'node:test';
import { staplingOf } from '../../src/certificates/ocsp.ts';
import { CertificateStore } from '../../src/edge/tls/certificate-store.ts';
import { Stapling } from '../../src/edge/tls/stapling.ts';
import { needs } from '../helpers/need.ts';
import { OcspCa, serials } from '../helpers/ocsp.ts';
import { recordingLog } from '../helpers/recording-log.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const need = needs('openssl');
let ca: OcspCa;
let responder: { url: string; stop(): void };
before(async () => {
  if (need.skip !== false) return;
  ca = new OcspCa();
  responder = await ca.respond();
});
after(() => {
  responder?.stop();
  ca?.remove();
});

type Running = Awaited<ReturnType<typeof runEdge>>;

/** What `openssl s_client` says of a handshake. */
function client(port: number, ...args: readonly string[]): Promise<string> {
  return new Promise((done) => {
    const all = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'a.test', ...args];
    const child = execFile('openssl', all, { timeout: 10_000 }, (_, stdout, stderr) =>
      done(stdout + stderr),
    );
    child.stdin!.end();
  });
}

/** The serial number in the staple that the client gets, null = it gets none; and its certificate's type. */
async function stapled(port: number, ...args: readonly string[]) {
  const said = await client(port, '-status', ...args);
  assert.match(said, /Cipher is (TLS_|ECDHE-)/, said);
  assert.match(said, /OCSP response: *(no response sent|\n=)/, said);
  const serial = /Serial Number: ([0-9A-F]+)\n\s+Cert Status: good/.exec(said)?.[1];
  return {
    serial: serial === undefined ? null : Number.parseInt(serial, 16),
    type: /Server public key is 2048/.test(said) ? 'rsa' : 'ec',
  };
}

function staples({ edge }: Running) {
  return edge.status().certificates.map(({ staple }) => staple);
}

const haveAll = (edge: Running) => () =>
  staples(edge).every((staple) => staple === null || staple.untilMs !== null);
const problemOf = (edge: Running) => () => staples(edge)[0]?.problem;

async function respondWith(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test(
  'a client that asks gets the response, over TLS 1.2 and 1.3, also after a HelloRetryRequest',
  need,
  async (t) => {
    const edge = await runEdge(t, {}, [ca.leaf({ url: responder.url })]);
    await until('staple', haveAll(edge));
    const good = { serial: serials.ec, type: 'ec' };
    assert.deepEqual(await stapled(edge.tlsPort, '-tls1_2'), good);
    assert.deepEqual(await stapled(edge.tlsPort, '-tls1_3'), good);
    assert.deepEqual(await stapled(edge.tlsPort, '-tls1_3', '-groups', 'P-521:P-256'), good);
    // HTTP/2 has a socket of its own kind.
    assert.deepEqual(await stapled(edge.tlsPort, '-alpn', 'h2'), good);
    assert.deepEqual(await stapled(edge.tlsPort, '-alpn', 'http/1.1'), good);
    assert.doesNotMatch(await client(edge.tlsPort, '-tls1_2'), /OCSP Response Status/);
  },
);

test(
  'RSA and ECDSA side by side: each client gets the response about what it is shown',
  need,
  async (t) => {
    const pairs = (['ec', 'rsa'] as const).map((key) =>
      ca.leaf({ key, serial: serials[key], url: responder.url }),
    );
    const edge = await runEdge(t, {}, pairs);
    await until('staples', haveAll(edge));
    const ec = { serial: serials.ec, type: 'ec' };
    const rsa = { serial: serials.rsa, type: 'rsa' };
    const { tlsPort } = edge;
    assert.deepEqual(await stapled(tlsPort, '-tls1_3'), ec);
    assert.deepEqual(await stapled(tlsPort, '-tls1_2'), ec);
    const rsaOnly = ['-tls1_3', '-sigalgs', 'rsa_pss_rsae_sha256:rsa_pkcs1_sha256'];
    assert.deepEqual(await stapled(tlsPort, ...rsaOnly), rsa);
    const otherCurve = 'ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256';
    assert.deepEqual(await stapled(tlsPort, '-tls1_3', '-sigalgs', otherCurve), rsa);
    const suite = (list: string) => stapled(tlsPort, '-tls1_2', '-cipher', list);
    assert.deepEqual(await suite('ECDHE-RSA-AES128-GCM-SHA256'), rsa);
    assert.deepEqual(await suite('ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384'), rsa);
    assert.deepEqual(await suite('ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'), ec);
    assert.deepEqual(await suite('ECDHE-ECDSA-AES256-GCM-SHA384'), ec);
    const rsaSignatures = ['-sigalgs', 'rsa_pss_rsae_sha256:RSA+SHA256'];
    assert.deepEqual(await stapled(tlsPort, '-tls1_2', ...rsaSignatures), rsa);
  },
);

test(
  'with ciphers of one’s own, TLS 1.2 gets no response that may be about the other certificate',
  need,
  async (t) => {
    const pairs = (['ec', 'rsa'] as const).map((key) =>
      ca.leaf({ key, serial: serials[key], url: responder.url }),
    );
    const ciphers = 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256';
    const edge = await runEdge(t, { ciphers }, pairs);
    await until('staples', haveAll(edge));
    assert.deepEqual(await stapled(edge.tlsPort, '-tls1_2'), { serial: null, type: 'rsa' });
    assert.deepEqual(await stapled(edge.tlsPort, '-tls1_3'), { serial: serials.ec, type: 'ec' });
  },
);

test(
  'of two certificates the one without response changes nothing for the other',
  need,
  async (t) => {
    const pairs = [ca.leaf({ url: responder.url }), ca.leaf({ key: 'rsa', serial: serials.rsa })];
    const edge = await runEdge(t, {}, pairs);
    await until('staple', haveAll(edge));
    assert.equal(staples(edge)[1], null);
    assert.deepEqual(await stapled(edge.tlsPort), { serial: serials.ec, type: 'ec' });
    const rsaOnly = ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'];
    assert.deepEqual(await stapled(edge.tlsPort, ...rsaOnly), { serial: null, type: 'rsa' });
  },
);

test(
  'a revoked or unknown certificate is served without a response, and the log says why',
  need,
  async (t) => {
    for (const [serial, reason] of [
      [serials.revoked, /the certificate is REVOKED/],
      [serials.unknown, /the responder does not know the certificate/],
    ] as const) {
      const edge = await runEdge(t, {}, [ca.leaf({ serial, url: responder.url })]);
      assert.match(String(await until('problem', problemOf(edge))), reason);
      assert.deepEqual(await stapled(edge.tlsPort), { serial: null, type: 'ec' });
      const warnings = edge.logged.filter((line) =>
        line.startsWith('warning No OCSP response for a.test: '),
      );
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, reason);
    }
  },
);

test(
  'responders that are down, slow, huge, or answer nonsense keep nobody waiting',
  need,
  async (t) => {
    const chunk = Buffer.alloc(40_000);
    const listeners: readonly (readonly [RegExp, RequestListener | null])[] = [
      [/cannot be asked \(ECONNREFUSED\)/, null],
      [/sends more than 65536 bytes/, (_, response) => response.end(Buffer.concat([chunk, chunk]))],
      [/it is no OCSP response/, (_, response) => response.end('<html>')],
      [
        /answers with status 302/,
        (_, response) => response.writeHead(302, { Location: responder.url }).end(),
      ],
      [/answers with status 500/, (_, response) => response.writeHead(500).end()],
      [/cannot be asked \(ECONNRESET\)/, (_, response) => void response.destroy()],
      [
        /the responder says tryLater/,
        (_, response) => response.end(Buffer.from('30030a0103', 'hex')),
      ],
    ];
    for (const [reason, listener] of listeners) {
      const url = listener === null ? 'http://127.0.0.1:1/' : await respondWith(t, listener);
      const edge = await runEdge(t, {}, [
        ca.leaf({ url, mustStaple: true, serial: serials.mustStaple }),
      ]);
      assert.match(String(await until('problem', problemOf(edge))), reason);
      assert.deepEqual(await stapled(edge.tlsPort), { serial: null, type: 'ec' });
      assert.match(edge.logged.join('\n'), /the certificate insists on one \(must-staple\)/);
    }
    // It never answers: the handshake does not wait for that.
    const silent = await runEdge(t, {}, [ca.leaf({ url: await respondWith(t, () => {}) })]);
    assert.deepEqual(await stapled(silent.tlsPort), { serial: null, type: 'ec' });
    assert.deepEqual(staples(silent), [{ untilMs: null, problem: null }]);
  },
);

/** A store with one certificate, whose responder says `answers`, then good. */
async function scripted(t: TestContext, answers: readonly (Buffer | 'silence')[]) {
  let asked = 0;
  const url = await respondWith(t, async (request, response) => {
    assert.equal(request.headers['content-type'], 'application/ocsp-request');
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const next = answers[asked++] ?? ca.answer(Buffer.concat(parts), 'ca', '-nmin', '10');
    if (next !== 'silence') response.end(next);
  });
  const { log, lines } = recordingLog();
  const policy = { ciphers: null, caPem: null, tlsUnknownName: 'default' } as const;
  const store = new CertificateStore({ ...policy, tlsMinVersion: 'TLSv1.2' });
  const stapling = new Stapling(log, store, { random: () => 1, againMinMs: 50, timeoutMs: 500 });
  t.after(() => stapling.close());
  stapling.configure({ ocspStapling: true, ciphers: null });
  const pair = { ...ca.leaf({ url }), hosts: [] };
  store.set('test', [pair]);
  const status = () => stapling.status(pair.certPem)!;
  return { lines, store, stapling, status, asked: () => asked };
}

test(
  'after a failure it is asked again and again, and the log says only what is new',
  need,
  async (t) => {
    const nonsense = Buffer.from('nonsense');
    const { lines, status, asked } = await scripted(t, [nonsense, nonsense, 'silence', nonsense]);
    const { untilMs } = await until('staple', () => status().untilMs !== null && status());
    assert.equal(asked(), 5);
    assert.ok(untilMs! > Date.now() + 500_000 && untilMs! < Date.now() + 600_000);
    const said = lines.map((line) => line.replace(/ {}$|: found.*|127.0.0.1:[0-9]+/g, ''));
    assert.equal(said.length, 4);
    assert.match(said[0]!, /^warning No OCSP response for a.test: it is no OCSP response/);
    assert.match(said[1]!, /^warning No OCSP response for a.test: .*has not answered in 0.5 s/);
    assert.equal(said[2], said[0]);
    assert.match(said[3]!, /^info There is an OCSP response for a.test again/);
  },
);

test(
  'at half of its life it is fetched again, the former one serves meanwhile, and not beyond its end',
  need,
  async (t) => {
    t.mock.timers.enable({ apis: ['Date', 'setTimeout'], now: Date.now() });
    const asking: ServerResponse[] = [];
    const url = await respondWith(t, (_, response) => void asking.push(response));
    const { log, lines } = recordingLog();
    const policy = { ciphers: null, caPem: null, tlsUnknownName: 'default' } as const;
    const pair = { ...ca.leaf({ url }), hosts: [] };
    const store = new CertificateStore({ ...policy, tlsMinVersion: 'TLSv1.2' }, [pair]);
    const stapling = new Stapling(log, store, { random: () => 1 });
    t.after(() => stapling.close());
    stapling.configure({ ocspStapling: true, ciphers: null });
    const context = store.select('a.test')!;
    const staple = () => stapling.stapleFor(context, Buffer.alloc(0));
    await turns(() => asking.length === 1);
    assert.equal(staple(), null);
    const { request } = staplingOf(pair.certPem).question!;
    const first = ca.answer(request, 'ca', '-nmin', '60');
    asking[0]!.end(first);
    await turns(() => staple() !== null);
    assert.ok(staple()!.equals(first));
    const minute = 60_000;
    t.mock.timers.tick(29 * minute);
    assert.equal(asking.length, 1);
    t.mock.timers.tick(1.1 * minute);
    await turns(() => asking.length === 2);
    asking[1]!.end('nonsense');
    await turns(() => lines.length === 1);
    assert.match(lines[0]!, /no OCSP response.*; the former one serves until 2/);
    assert.ok(staple()!.equals(first));
    // A minute, then two, and so on.
    t.mock.timers.tick(0.9 * minute);
    assert.equal(asking.length, 2);
    t.mock.timers.tick(0.2 * minute);
    await turns(() => asking.length === 3);
    t.mock.timers.tick(20 * minute);
    assert.ok(staple()!.equals(first));
    // Five minutes before its end, as clocks differ.
    t.mock.timers.tick(5 * minute);
    assert.equal(staple(), null);
  },
);

test('a certificate that goes takes its question along', need, async (t) => {
  let asked = 0;
  let gone = 0;
  const url = await respondWith(t, (_, response) => {
    asked++;
    response.on('close', () => gone++);
  });
  const edge = await runEdge(t, {}, [ca.leaf({ url })]);
  await until('question', () => asked === 1);
  edge.edge.certificates.set('test', [{ ...ca.leaf({ url: responder.url }), hosts: [] }]);
  await until('staple', haveAll(edge));
  assert.deepEqual(await stapled(edge.tlsPort), { serial: serials.ec, type: 'ec' });
  await until('end of the question', () => gone === 1);
});

/** Lets the event loop turn until it is so; for a test that has stopped the clock. */
async function turns(probe: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!probe()) {
    if (performance.now() > endMs) throw new Error(`never so: ${probe}`);
    await new Promise((done) => setImmediate(done));
  }
}

test(
  'no one is asked for certificates that name no responder, nor with --no-ocsp-stapling',
  need,
  async (t) => {
    let asked = 0;
    const url = await respondWith(t, (_, response) => {
      asked++;
      response.end();
    });
    const off = await runEdge(t, { ocspStapling: false }, [ca.leaf({ url })]);
    const alone = await runEdge(t, {}, [ca.leaf({ url, withIssuer: false })]);
    const none = await runEdge(t, {}, [ca.leaf({ mustStaple: true })]);
    for (const edge of [off, alone, none])
      assert.deepEqual(await stapled(edge.tlsPort), { serial: null, type: 'ec' });
    assert.equal(asked, 0);
    assert.deepEqual(staples(off), [null]);
    assert.match(
      alone.logged.join(),
      /info No OCSP response is fetched for a.test: the certificate of its issuer/,
    );
    assert.match(
      none.logged.join(),
      /warning No OCSP response for a.test: it names no OCSP responder; .*must-staple/,
    );
    off.configure({ ocspStapling: true });
    await until('question', () => asked === 1);
  },
);
