// `portico status` shows an instance on one screen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status } from '../../src/arbiter/control/protocol.ts';
import { ago, statusText } from '../../src/cli/status-text.ts';
import type { StapleStatus } from '../../src/ipc/messages.ts';

const status: Status = {
  arbiter: {
    pid: 4242,
    version: '0.1.0',
    uptimeMs: 11_520_000,
    phase: 'running',
    generation: 2,
    workersWanted: 3,
    restarts: 1,
    app: 'app.js:app',
    workerClass: 'async',
    runtimeDir: '/run/portico/4242',
    reloading: null,
    lastReload: {
      ok: false,
      generation: 3,
      problems: ['Error: no \x1b[31mdatabase\n    at app.js:1'],
      agoMs: 12_000,
    },
  },
  apps: [
    { name: 'app', module: 'app.js:app', workerClass: 'async', generation: 2, workersWanted: 3 },
  ],
  binds: [{ url: 'http://127.0.0.1:8000' }, { url: 'unix:/run/app.sock' }],
  edges: [
    {
      slot: 1,
      id: 1,
      pid: 4243,
      phase: 'serving',
      uptimeMs: 11_519_000,
      status: {
        pid: 4243,
        connections: 1034,
        requestsInFlight: 12,
        requestsServed: 1_234_567,
        queued: 0,
        rssBytes: 61 * 1024 ** 2,
        cache: null,
        tls: null,
        acme: null,
        certificates: [],
        upstreams: [],
        routes: [],
        workers: [],
      },
    },
  ],
  workers: [
    {
      ...{
        app: 'app',
        slot: 1,
        id: 7,
        pid: 4244,
        generation: 2,
        phase: 'serving',
        uptimeMs: 61_000,
      },
      ...{ inFlight: 6, served: 60_210, rssBytes: 48 * 1024 ** 2, failures: 0 },
    },
    {
      ...{ app: 'app', slot: 2, id: 8, pid: null, generation: 2, phase: 'booting', uptimeMs: 400 },
      ...{ inFlight: null, served: null, rssBytes: null, failures: 2 },
    },
    {
      ...{
        app: 'app',
        slot: 2,
        id: 5,
        pid: 4200,
        generation: 1,
        phase: 'draining',
        uptimeMs: 11_000_000,
      },
      ...{ inFlight: 1, served: 999, rssBytes: 50 * 1024 ** 2, failures: 0 },
    },
  ],
};

test('arbiter, edges and workers are shown, and why the last reload failed', () => {
  assert.equal(
    statusText(status, 0),
    `portico 0.1.0, pid 4242, running, up 3h 12m
  app         app.js:app (async), generation 2
  listening   http://127.0.0.1:8000, unix:/run/app.sock
  workers     1 of 3 serving, 1 restarted after a failure
  runtime dir /run/portico/4242
  last reload FAILED 12s ago (generation 3)
              Error: no  [31mdatabase     at app.js:1

           pid  state         up  in flight     served  memory
edge 1    4243  serving   3h 11m         12  1,234,567   61 MB  1,034 connections, 0 queued
worker 1  4244  serving    1m 1s          6     60,210   48 MB
worker 2     -  booting       0s          -          -       -  failed 2 times in a row
worker 2  4200  draining   3h 3m          1        999   50 MB  generation 1
`,
  );
});

test('several apps are shown each on a line, with their own generation', () => {
  const [app] = status.apps;
  const api = { ...app!, name: 'api', module: 'main:app', workerClass: 'asgi', generation: 1 };
  const workers = status.workers.map((worker, at) => ({
    ...worker,
    app: at === 2 ? 'api' : 'app',
  }));
  const text = statusText({ ...status, apps: [app!, api], workers }, 0);
  assert.match(text, /^ {2}app {9}app\.js:app \(async\), generation 2, 1 of 3 serving$/m);
  assert.match(text, /^ {2}app api {5}main:app \(asgi\), generation 1, 0 of 3 serving$/m);
  assert.match(text, /^worker 1 {6}4244 /m);
  assert.match(text, /^worker api 2 {2}4200 {2}draining .* 50 MB$/m);
});

test('an edge that does not answer has no numbers', () => {
  const [edge] = status.edges;
  const text = statusText({ ...status, edges: [{ ...edge!, status: null }] }, 0);
  assert.match(text, /^edge 1 {4}4243 {2}serving {3}3h 11m +- +- +-$/m);
});

test('a time is shown by its two largest units', () => {
  assert.deepEqual([0, 999, 59_000, 60_000, 3_600_000, 90_061_000, 86_430_000].map(ago), [
    ...['0s', '0s', '59s', '1m', '1h', '1d 1h', '1d'],
  ]);
});

test('names that ACME looks after are shown with their expiry, next try and last error', () => {
  const nowMs = Date.parse('2026-11-22T12:00:00Z');
  const day = 86_400_000;
  const [edge] = status.edges;
  const name = { phase: 'idle', notAfterMs: null, failures: 0, lastError: null } as const;
  const acme = [
    { ...name, host: 'one.example', notAfterMs: nowMs + 60 * day, nextTryMs: nowMs + 30 * day },
    {
      ...name,
      host: 'two.example',
      nextTryMs: nowMs + 180_000,
      failures: 2,
      lastError: 'The CA finds no\x1b[2J address.\nAdd an A record.',
    },
    { ...name, host: 'three.example', phase: 'obtaining' as const, nextTryMs: 0 },
    { ...name, host: 'four.example', notAfterMs: nowMs - day, nextTryMs: nowMs - 30 * day },
    { ...name, host: 'five.example', phase: 'waiting' as const, nextTryMs: 0 },
  ];
  const shown = statusText(
    { ...status, edges: [{ ...edge!, status: { ...edge!.status!, acme } }] },
    nowMs,
  );
  assert.equal(
    shown.slice(shown.indexOf('  acme ')),
    `  acme one.example: certificate for 60d, renewed in 30d
  acme two.example: no certificate yet, next try in 3m, failed 2 times
    The CA finds no [2J address. Add an A record.
  acme three.example: no certificate yet, is being had now
  acme four.example: certificate EXPIRED 1d ago, renewed now
  acme five.example: no certificate yet, another instance is getting one
`,
  );
});

test('a certificate says whether it has an OCSP response', () => {
  const untilMs = nowOf(20);
  const line = (staple: StapleStatus | null) => {
    const certificate = {
      ...{ source: 'files', names: ['a.test'], file: null, issuer: 'CA', key: 'RSA 2048', staple },
      ...{ notBeforeMs: nowOf(-10), notAfterMs: nowOf(80) },
    };
    const [edge] = status.edges;
    const edges = [{ ...edge!, status: { ...edge!.status!, certificates: [certificate] } }];
    return /certificate .*/.exec(statusText({ ...status, edges }, nowOf(0)))?.[0];
  };
  const bare = line(null);
  assert.match(bare!, /^certificate a.test: RSA 2048 by CA, expires in 80 days \([-0-9]+\)$/);
  assert.equal(line({ untilMs, problem: null }), `${bare}, OCSP stapled`);
  assert.equal(line({ untilMs, problem: 'why' }), `${bare}, OCSP stapled, but not renewed: why`);
  assert.equal(line({ untilMs: null, problem: null }), `${bare}, no OCSP response yet`);
  assert.equal(line({ untilMs: null, problem: 'why' }), `${bare}, no OCSP response: why`);
});

function nowOf(days: number): number {
  return Date.UTC(2026, 10, 22) + days * 86_400_000;
}
