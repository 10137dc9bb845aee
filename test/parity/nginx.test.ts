// The same bytes to Portico and to nginx in front of the same app: the answers are the same, but
// for the differences on the list, each with its reason.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needs } from '../helpers/need.ts';
import { startNginx } from '../helpers/nginx.ts';
import { repositoryRoot, startPortico, suiteOwner } from '../helpers/portico.ts';

const fixtures = join(repositoryRoot, 'test/fixtures/parity');
const host = 'Host: shop.example\r\n';
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${host}${fields}\r\n`;

/** Fields that may differ in value, in both. */
const volatileFields = new Set([
  'date',
  'server',
  'etag',
  'x-request-id',
  'connection',
  'keep-alive',
]);

interface Case {
  readonly name: string;
  readonly send: string;
  /** The known difference: what Portico's status is instead of nginx's, and why. */
  readonly differs?: { readonly portico: number; readonly nginx: number; readonly why: string };
  /** Fields present in just one of the answers, and why. */
  readonly fieldsDiffer?: { readonly names: readonly string[]; readonly why: string };
  readonly bodyDiffers?: string;
}

const longLine = 'a'.repeat(5000);

const cases: readonly Case[] = [
  { name: 'a plain GET', send: get('/hello?x=1') },
  { name: 'HEAD', send: `HEAD /fields HTTP/1.1\r\n${host}\r\n` },
  { name: 'repeated response fields', send: get('/fields') },
  { name: 'an empty answer', send: get('/empty') },
  { name: 'a chunked answer', send: get('/chunked') },
  { name: 'a large answer', send: get('/large') },
  { name: 'HTTP/1.0', send: `GET /chunked HTTP/1.0\r\n${host}\r\n` },
  { name: 'HTTP/1.0 without Host', send: 'GET /empty HTTP/1.0\r\n\r\n' },
  ...[200, 201, 204, 301, 304, 400, 404, 418, 500, 503].map((code) => ({
    name: `status ${code} from the app`,
    send: get(`/status?code=${code}`),
  })),
  {
    name: 'a POST with Content-Length',
    send: `POST /p HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
  },
  {
    name: 'a chunked POST',
    send: `POST /p HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n`,
  },
  { name: 'an empty POST', send: `POST /p HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n` },
  { name: 'PUT', send: `PUT /p HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nok` },
  { name: 'DELETE', send: `DELETE /p HTTP/1.1\r\n${host}\r\n` },
  { name: 'an unknown method', send: `PROPFIND /p HTTP/1.1\r\n${host}\r\n` },
  {
    name: 'an absolute-form target',
    send: 'GET http://other.example/abs?q=1 HTTP/1.1\r\nHost: other.example\r\n\r\n',
  },
  {
    name: 'a target that needs no decoding is passed on as it is',
    send: get('/a%2Fb//c/../d?e=%20f'),
  },
  {
    name: 'spoofed X-Forwarded-* fields',
    send: get(
      '/',
      'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n',
    ),
  },
  {
    name: 'hop-by-hop request fields',
    send: get('/', 'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-Mine: 1\r\n'),
  },
  { name: 'hop-by-hop response fields', send: get('/hop') },
  { name: 'field values are trimmed', send: get('/', 'X-Space: \t padded \t\r\n') },
  {
    name: 'Expect: 100-continue',
    send: `POST /p HTTP/1.1\r\n${host}Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello`,
  },
  { name: 'a static file', send: get('/static/file.txt') },
  { name: 'HEAD of a static file', send: `HEAD /static/file.txt HTTP/1.1\r\n${host}\r\n` },
  { name: 'an empty static file', send: get('/static/empty.txt') },
  { name: 'a missing static file', send: get('/static/none.txt') },
  { name: 'the index of a static directory', send: get('/static/sub/') },
  { name: 'a static directory without its slash', send: get('/static/sub') },
  { name: 'a range of a static file', send: get('/static/file.txt', 'Range: bytes=2-4\r\n') },
  { name: 'a range beyond the end', send: get('/static/file.txt', 'Range: bytes=500-\r\n') },
  {
    name: 'If-Modified-Since in the future',
    send: get('/static/file.txt', 'If-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT\r\n'),
  },
  { name: 'dots that leave the static directory', send: get('/static/../../../etc/passwd') },
  {
    name: 'encoded dots that leave the static directory',
    send: get('/static/%2e%2e/%2e%2e/etc/passwd'),
  },
  { name: 'a NUL in a static path', send: get('/static/file.txt%00') },
  { name: 'no Host in HTTP/1.1', send: 'GET / HTTP/1.1\r\n\r\n' },
  { name: 'two Hosts', send: `GET / HTTP/1.1\r\n${host}Host: b\r\n\r\n` },
  { name: 'a space before the colon', send: get('/', 'X-Bad : 1\r\n') },
  { name: 'no version', send: 'GET /\r\n\r\n' },
  { name: 'garbage', send: 'nonsense\r\n\r\n' },
  { name: 'HTTP/3.0', send: `GET / HTTP/3.0\r\n${host}\r\n` },
  {
    name: 'Content-Length with Transfer-Encoding',
    send: `POST /p HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  },
  {
    name: 'two Content-Lengths',
    send: `POST /p HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  },
  {
    name: 'a negative Content-Length',
    send: `POST /p HTTP/1.1\r\n${host}Content-Length: -3\r\n\r\n`,
  },
  {
    name: 'an unknown transfer coding',
    send: `POST /p HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\n`,
  },
  {
    name: 'a bad chunk size',
    send: `POST /p HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  },
  { name: 'a request line that is too long', send: get(`/${'a'.repeat(40_000)}`) },
  { name: 'a request line between the two limits', send: get(`/${longLine}`) },
  { name: 'a field that is too long', send: get('/', `X-Long: ${'b'.repeat(40_000)}\r\n`) },
  { name: 'a field with a control byte', send: get('/', 'X-Bad: a\x01b\r\n') },
  { name: 'a NUL in a field', send: get('/', 'X-Bad: a\0b\r\n') },
  { name: 'a folded field', send: get('/', 'X-Fold: a\r\n b\r\n') },
  { name: 'bare line feeds', send: 'GET / HTTP/1.1\nHost: shop.example\n\n' },
  { name: 'CONNECT', send: `CONNECT shop.example:443 HTTP/1.1\r\n${host}\r\n` },
  { name: 'TRACE', send: `TRACE / HTTP/1.1\r\n${host}\r\n` },
  { name: 'OPTIONS *', send: `OPTIONS * HTTP/1.1\r\n${host}\r\n` },
  {
    name: 'POST to a static file',
    send: `POST /static/file.txt HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`,
  },
];

describe('parity with nginx', needs('nginx'), () => {
  let ports: { portico: number; nginx: number };

  const suite = suiteOwner();
  after(() => suite.end());

  before(async () => {
    const staticDir = join(fixtures, 'static');
    const portico = await startPortico(suite, [
      ...['--workers', '2', '--static', `/static=${staticDir}`],
      `${join(fixtures, 'app.mjs')}:app`,
    ]);
    ports = { portico: portico.port, nginx: await startNginx(suite, staticDir) };
  });

  for (const item of cases) {
    test(item.name, async () => {
      const ours = await ask(ports.portico, item.send);
      const theirs = await ask(ports.nginx, item.send);
      if (item.differs) {
        assert.deepEqual(
          { portico: ours.status, nginx: theirs.status },
          { portico: item.differs.portico, nginx: item.differs.nginx },
        );
        return;
      }
      assert.equal(ours.status, theirs.status, `${ours.text}\n--- nginx\n${theirs.text}`);
      // An error page is each server's own.
      const own = theirs.status >= 400 && /nginx/.test(theirs.body);
      if (own) return;
      const known = item.fieldsDiffer?.names ?? [];
      assert.deepEqual(comparable(ours.fields, known), comparable(theirs.fields, known));
      if (!item.bodyDiffers) assert.deepEqual(seenByApp(ours.body), seenByApp(theirs.body));
    });
  }
});

interface Answer {
  readonly status: number;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly text: string;
}

/** Sends bytes and reads one answer, or what came in 1.5 s after which the server said nothing more. */
function ask(port: number, bytes: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const head = bytes.startsWith('HEAD ');
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(bytes, 'latin1')));
    let text = '';
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parse(text, head) ?? { status: 0, fields: [], body: '', text });
    };
    const timer = setTimeout(() => reject(new Error(`no whole answer in 10 s: ${text}`)), 10_000);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (parse(text, head)) finish();
    });
    socket.on('end', finish);
    socket.on('error', finish);
  });
}

/** The answer when it is whole: informational ones are passed over. Null while more must come. */
function parse(text: string, head: boolean): Answer | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [line = '', ...lines] = text.slice(0, end).split('\r\n');
  const status = Number(line.split(' ')[1]);
  if (status >= 100 && status < 200) return parse(text.slice(end + 4), head);
  const fields = lines.map((entry) => {
    const colon = entry.indexOf(':');
    return [entry.slice(0, colon).toLowerCase(), entry.slice(colon + 1).trim()] as const;
  });
  const rest = text.slice(end + 4);
  const field = (name: string) => fields.find(([key]) => key === name)?.[1];
  const length = field('content-length');
  if (head || status === 204 || status === 304) return { status, fields, body: '', text };
  if (length !== undefined) {
    return rest.length >= Number(length) ? { status, fields, body: rest, text } : null;
  }
  if (field('transfer-encoding') === 'chunked') {
    return rest.endsWith('0\r\n\r\n') ? { status, fields, body: unchunk(rest), text } : null;
  }
  return null;
}

function unchunk(text: string): string {
  let body = '';
  let at = 0;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (!(size > 0)) return body;
    body += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

function comparable(fields: Answer['fields'], known: readonly string[]) {
  return fields
    .filter(([name]) => !volatileFields.has(name) && !known.includes(name))
    .map(([name, value]) => `${name}: ${value.replace(/:\d{4,5}\//, ':PORT/')}`)
    .sort();
}

/** What the app saw, less what must differ; any other body as it is. */
function seenByApp(body: string): unknown {
  if (!body.startsWith('{')) return body;
  const seen = JSON.parse(body) as { headers: Record<string, string> };
  for (const name of ['x-request-id', 'x-forwarded-port', 'connection']) delete seen.headers[name];
  return seen;
}
