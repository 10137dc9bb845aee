// HTTP/2 with the whole program and real clients: curl, nghttp, h2load.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { needs } from '../helpers/need.ts';
import { type PorticoProcess, startPortico, suiteOwner } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

const run = promisify(execFile);
const suite = suiteOwner();
let portico: PorticoProcess;
let dir = '';

const app = `
import { createHash } from 'node:crypto';
export default (request, response) => {
  if (request.url === '/hints') response.writeEarlyHints({ link: '</a.css>; rel=preload' });
  if (request.url === '/trailers') {
    response.writeHead(200, { trailer: 'X-Sum' });
    response.write('content');
    response.addTrailers({ 'X-Sum': '7' });
    response.end();
    return;
  }
  if (request.url === '/large') {
    response.end(Buffer.alloc(8 * 1024 * 1024, 'portico '));
    return;
  }
  const sum = createHash('sha1');
  let bytes = 0;
  request.on('data', (chunk) => { bytes += chunk.length; sum.update(chunk); });
  request.on('end', () => {
    const { httpVersion, method, url, headers } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ httpVersion, method, url, headers, bytes, sha1: sum.digest('hex') }));
  });
};
`;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'portico-http2-'));
  writeFileSync(join(dir, 'app.mjs'), app);
  mkdirSync(join(dir, 'files'));
  writeFileSync(join(dir, 'files', 'a.txt'), 'a file\n'.repeat(1000));
  suite.after(async () => rmSync(dir, { recursive: true }));
  const settings = ['--workers', '2', '--h2c', '--static', `/files=${join(dir, 'files')}`];
  const logs = ['--access-logfile', join(dir, 'access.log'), '--access-logformat', '%(r)s %(s)s'];
  portico = await startPortico(suite, [...settings, ...logs, join(dir, 'app.mjs')]);
});
after(() => suite.end());

async function curl(...args: string[]): Promise<string> {
  const fixed = ['-sS', '--max-time', '20', '--http2-prior-knowledge'];
  const { stdout } = await run('curl', [...fixed, ...args], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

interface Seen {
  readonly httpVersion: string;
  readonly headers: Record<string, string>;
  readonly bytes: number;
}

test(
  'curl: a request, what the app sees of it, and its line in the access log',
  needs('curl'),
  async () => {
    const text = await curl('-w', ' %{http_version} %{response_code}', `${portico.origin}/a?b=c`);
    assert.match(text, / 2 200$/);
    const seen = JSON.parse(text.slice(0, text.lastIndexOf('}') + 1)) as Seen;
    assert.equal(seen.headers.host, `127.0.0.1:${portico.port}`);
    assert.equal(seen.headers['x-forwarded-proto'], 'http');
    const line = () =>
      readFileSync(join(dir, 'access.log'), 'utf8').includes('GET /a?b=c HTTP/2.0 200');
    await until('access log line', line);
  },
);

test(
  'curl: an upload, a download, HEAD, and a static file that is there already',
  needs('curl'),
  async () => {
    const upload = join(dir, 'upload');
    writeFileSync(upload, Buffer.alloc(5_000_000, 'x'));
    const seen = JSON.parse(await curl('-T', upload, `${portico.origin}/up`)) as Seen;
    assert.equal(seen.bytes, 5_000_000);
    assert.equal((await curl(`${portico.origin}/large`)).length, 8 * 1024 * 1024);
    assert.match(
      await curl('-I', `${portico.origin}/files/a.txt`),
      /^HTTP\/2 200 [\s\S]*content-length: 7000/,
    );
    for (let at = 0; at < 3; at++)
      assert.equal((await curl(`${portico.origin}/files/a.txt`)).length, 7000);
    const etag = /etag: (\S+)/.exec(await curl('-I', `${portico.origin}/files/a.txt`))?.[1] ?? '';
    const fresh = await curl('-i', '-H', `If-None-Match: ${etag}`, `${portico.origin}/files/a.txt`);
    assert.match(fresh, /^HTTP\/2 304/);
    const part = await curl('-i', '-r', '0-5', `${portico.origin}/files/a.txt`);
    assert.match(part, /^HTTP\/2 206 [\s\S]*content-range: bytes 0-5\/7000[\s\S]*\r\n\r\na file$/);
  },
);

test('curl: compression, an error page, and early hints', needs('curl'), async () => {
  const small = await curl(
    '-i',
    '--compressed',
    '-H',
    'Accept-Encoding: gzip',
    `${portico.origin}/files/none`,
  );
  assert.match(small, /^HTTP\/2 404/);
  const page = await curl('-H', 'Accept: text/html', `${portico.origin}/files/none`);
  assert.match(page, /<html/);
  assert.match(
    await curl('-i', `${portico.origin}/hints`),
    /^HTTP\/2 103 \r\nlink: [\s\S]*HTTP\/2 200/,
  );
});

test('nghttp: many streams on one connection, and trailers', needs('nghttp'), async () => {
  const urls = Array.from({ length: 20 }, (_, at) => `${portico.origin}/n${at}`);
  const { stdout } = await run('nghttp', ['-nv', ...urls], { maxBuffer: 16 * 1024 * 1024 });
  assert.equal(stdout.match(/:status: 200/g)?.length, 20);
  const trailers = await run('nghttp', ['-v', `${portico.origin}/trailers`]);
  assert.match(trailers.stdout, /x-sum: 7/);
});

interface Outcome {
  readonly started: number;
  readonly succeeded: number;
  readonly text: string;
}

/** A load that ends only when the server leaves, or has answered all. */
function startH2load(origin: string, requests: number): { done: Promise<Outcome> } {
  const child = spawn('h2load', ['-n', `${requests}`, '-c', '4', '-m', '8', `${origin}/load`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  const done = once(child, 'close').then(() => ({
    started: number(/(\d+) started/),
    succeeded: number(/(\d+) 2xx/),
    text,
  }));
  return { done };
}

const served = () => readFileSync(join(dir, 'access.log'), 'utf8').split('GET /load').length;

test(
  'h2load: a reload under load costs no request and no connection',
  needs('h2load'),
  async () => {
    const load = startH2load(portico.origin, 4000);
    await until('requests', () => served() > 200);
    const from = portico.log().length;
    portico.signal('SIGHUP');
    await portico.logged(/reload/i, { from });
    const { started, succeeded, text } = await load.done;
    assert.equal(started, 4000, text);
    assert.equal(succeeded, 4000, text);
  },
);

test(
  'h2load: a stop under load answers all that was sent, and ends in time',
  needs('h2load'),
  async () => {
    const before = served();
    const load = startH2load(portico.origin, 10_000_000);
    await until('requests', () => served() > before + 200);
    portico.signal('SIGTERM');
    const { started, succeeded, text } = await load.done;
    assert.ok(started >= 200, text);
    // h2load goes on after a GOAWAY: at most what its 4 clients had open at a time is refused, which a
    // client may send elsewhere (RFC 9113 section 6.8). Nothing is answered with a failure.
    assert.ok(started - succeeded <= 4 * 16, text);
    assert.match(text, /, 0 3xx, 0 4xx, 0 5xx/);
    assert.equal(await portico.exited, 0);
    assert.doesNotMatch(portico.log(), /fault while|uncaught/);
  },
);
