// The same bytes to Portico and to nginx in front of the same app: the answers are the same, but
// for the differences on the list, each with its reason.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { bindBoth, tlsPortOf } from '../helpers/both-binds.ts';
import { needs } from '../helpers/need.ts';
import { startNginx } from '../helpers/nginx.ts';
import { repositoryRoot, startPortico, suiteOwner } from '../helpers/portico.ts';

const fixtures = join(repositoryRoot, 'test/fixtures/parity');
const host = 'Host: shop.example\r\n';
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${host}${fields}\r\n`;

/** Fields whose value, or presence, is each server's own business. */
const volatileFields = new Set([
  'date',
  'server',
  'etag',
  'x-request-id',
  'connection',
  'keep-alive',
]);

type Transport = 'plain' | 'TLS';

interface Case {
  readonly name: string;
  readonly send: string;
}

/** A known difference: in the status, in the named fields, or in those that the app sees. */
type Difference =
  | { readonly portico: number; readonly nginx: number; readonly why: string }
  | { readonly fields: readonly string[]; readonly why: string }
  | { readonly seen: readonly string[]; readonly why: string };

const strictTarget =
  'nginx has already answered for a path that leaves the root; here nothing is there';
const mediaType = {
  fields: ['content-type', 'cache-control'],
  why: 'text has its charset, and a browser is told to ask again; nginx leaves both to its user',
};

/** The list: what differs, and why. A case that is not here must be the same in both. */
const differences: Readonly<Record<string, Difference>> = {
  'HTTP/1.0 without Host': {
    portico: 200,
    nginx: 0,
    why: 'nginx passes an empty Host on, which the app refuses in HTTP/1.1; HTTP/1.0 needs no Host',
  },
  'a chunked POST': {
    seen: ['content-length', 'transfer-encoding'],
    why: 'nginx has read the short content whole and passes its length on; here it streams as it came',
  },
  'a compressed answer': {
    fields: ['content-length', 'transfer-encoding'],
    why: 'what is whole at hand has its length; nginx sends whatever it compresses in chunks',
  },
  'hop-by-hop response fields': {
    fields: ['proxy-authenticate'],
    why: 'a field for the next hop alone (RFC 9110 section 7.6.1); nginx lets it pass',
  },
  'a static file': mediaType,
  'HEAD of a static file': mediaType,
  'an empty static file': mediaType,
  'the index of a static directory': mediaType,
  'a static directory without its slash': {
    fields: ['location', 'content-length', 'content-type'],
    why: 'a relative Location (RFC 9110 section 10.2.2) is right behind any front; each has its own page',
  },
  'a range of a static file': {
    fields: [...mediaType.fields, 'accept-ranges'],
    why: 'as for the whole file; and Accept-Ranges is also true of a part',
  },
  'If-Modified-Since in the future': {
    portico: 304,
    nginx: 200,
    why: 'nginx compares for equality (if_modified_since exact); RFC 9110 section 13.1.3 says "later"',
  },
  'a file the app names': mediaType,
  'HEAD of a file the app names': mediaType,
  'a POST whose answer is a file the app names': mediaType,
  'an encoded path the app names': mediaType,
  'a range of a file the app names': {
    fields: [...mediaType.fields, 'accept-ranges'],
    why: 'as for any file',
  },
  'a directory the app names': {
    portico: 404,
    nginx: 301,
    why: 'a client that is sent on to an internal path finds nothing there',
  },
  'a path the app names elsewhere': {
    portico: 500,
    nginx: 200,
    why: 'only internal mounts can be named, so that a mistake is seen and logged',
  },
  'a path with dots the app names': {
    portico: 500,
    nginx: 404,
    why: 'a fault of the app, not of the client',
  },
  'dots that leave the static directory': { portico: 404, nginx: 400, why: strictTarget },
  'encoded dots that leave the static directory': { portico: 404, nginx: 400, why: strictTarget },
  'a NUL in a static path': {
    portico: 404,
    nginx: 400,
    why: 'no file has such a name; the app may well take an encoded NUL elsewhere',
  },
  'no version': {
    portico: 400,
    nginx: 0,
    why: 'nginx speaks HTTP/0.9, whose answer has no status',
  },
  'a request line between the two limits': {
    portico: 414,
    nginx: 200,
    why: "Gunicorn's limit is 4094 bytes, nginx's 8 KB; limitRequestLine sets it",
  },
  'a field that is too long': {
    portico: 431,
    nginx: 400,
    why: 'the status made for it (RFC 6585 section 5)',
  },
  'a field with a control byte': {
    fields: [
      'cache-control',
      'content-length',
      'content-type',
      'transfer-encoding',
      'x-content-type-options',
    ],
    why: 'nginx lets the byte pass, and the app refuses it; here the edge does (RFC 9110 section 5.5)',
  },
  'bare line feeds': {
    portico: 400,
    nginx: 200,
    why: 'refused unless permitBareLf (RFC 9112 section 2.2 lets a server choose)',
  },
  CONNECT: {
    portico: 405,
    nginx: 400,
    why: 'the request is well formed; the method is not served',
  },
  'OPTIONS *': {
    portico: 200,
    nginx: 400,
    why: 'a right request (RFC 9110 section 9.3.7), the app answers it',
  },
};

const longLine = 'a'.repeat(5000);

const cases: readonly Case[] = [
  { name: 'a plain GET', send: get('/hello?x=1') },
  { name: 'HEAD', send: `HEAD /fields HTTP/1.1\r\n${host}\r\n` },
  { name: 'repeated response fields', send: get('/fields') },
  { name: 'an empty answer', send: get('/empty') },
  { name: 'a chunked answer', send: get('/chunked') },
  { name: 'a large answer', send: get('/large') },
  { name: 'a compressed answer', send: get('/text', 'Accept-Encoding: deflate, gzip\r\n') },
  { name: 'a compressible answer for who takes none', send: get('/text') },
  { name: 'gzip refused', send: get('/text', 'Accept-Encoding: gzip;q=0, identity\r\n') },
  { name: 'a small answer', send: get('/status?code=200', 'Accept-Encoding: gzip\r\n') },
  { name: 'an answer that does not shrink', send: get('/large', 'Accept-Encoding: gzip\r\n') },
  {
    name: 'gzip for HTTP/1.0',
    send: `GET /text HTTP/1.0\r\n${host}Accept-Encoding: gzip\r\n\r\n`,
  },
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
  { name: 'an internal path that a client asks for', send: get('/protected/file.txt') },
  { name: 'a file the app names', send: get('/accel?to=/protected/file.txt') },
  {
    name: 'HEAD of a file the app names',
    send: `HEAD /accel?to=/protected/file.txt HTTP/1.1\r\n${host}\r\n`,
  },
  {
    name: 'a POST whose answer is a file the app names',
    send: `POST /accel?to=/protected/file.txt HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nab`,
  },
  {
    name: 'what stays of the fields beside X-Accel-Redirect',
    send: get(
      '/accel?to=/protected/file.txt&also=Content-Type:application/x-own&also=Set-Cookie:a%3D1&also=Set-Cookie:b%3D2&also=Content-Disposition:attachment&also=Cache-Control:private&also=Expires:0&also=X-Own:1&also=Last-Modified:x&also=Content-Language:de',
    ),
  },
  {
    name: 'a range of a file the app names',
    send: get('/accel?to=/protected/file.txt', 'Range: bytes=2-4\r\n'),
  },
  { name: 'an encoded path the app names', send: get('/accel?to=/protected/%2566ile.txt%3Fx%3D1') },
  { name: 'a missing file the app names', send: get('/accel?to=/protected/none.txt') },
  { name: 'a directory the app names', send: get('/accel?to=/protected/sub') },
  { name: 'a path the app names elsewhere', send: get('/accel?to=/static/file.txt') },
  { name: 'a path with dots the app names', send: get('/accel?to=/protected/../app.mjs') },
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
  let ports: Record<Transport, { portico: number; nginx: number }>;

  const suite = suiteOwner();
  after(() => suite.end());

  before(async () => {
    const staticDir = join(fixtures, 'static');
    const dir = mkdtempSync(join(tmpdir(), 'portico-parity-'));
    suite.after(async () => rmSync(dir, { recursive: true, force: true }));
    const config = join(dir, 'portico.config.json');
    const mounts = [
      { prefix: '/static', dir: staticDir },
      { prefix: '/protected', dir: staticDir, internal: true },
    ];
    writeFileSync(config, JSON.stringify({ chdir: repositoryRoot, static: mounts }));
    const portico = await startPortico(suite, [
      ...['--workers', '2', '--forwarded-allow-ips', '10.0.0.1', '--config', config],
      ...(await bindBoth(dir)),
      `${join(fixtures, 'app.mjs')}:app`,
    ]);
    const nginx = await startNginx(suite, staticDir);
    ports = {
      plain: { portico: portico.port, nginx: nginx.port },
      TLS: { portico: tlsPortOf(portico), nginx: nginx.tlsPort },
    };
  });

  test('each difference on the list is that of a case', () => {
    const names = new Set(cases.map(({ name }) => name));
    assert.deepEqual(
      Object.keys(differences).filter((name) => !names.has(name)),
      [],
    );
  });

  for (const transport of ['plain', 'TLS'] as const)
    for (const item of cases)
      test(`${transport}: ${item.name}`, async () => {
        const { portico, nginx } = ports[transport];
        compare(
          differences[item.name],
          await ask(transport, portico, item.send),
          await ask(transport, nginx, item.send),
        );
      });
});

function compare(known: Difference | undefined, ours: Answer, theirs: Answer): void {
  if (known && 'portico' in known) {
    const { portico, nginx } = known;
    assert.deepEqual({ portico: ours.status, nginx: theirs.status }, { portico, nginx });
    return;
  }
  assert.equal(ours.status, theirs.status, `${ours.text}\n--- nginx\n${theirs.text}`);
  // An error page is each server's own.
  if (theirs.status >= 400 && /nginx/.test(theirs.body)) return;
  const fields = known && 'fields' in known ? known.fields : [];
  assert.deepEqual(comparable(ours, fields), comparable(theirs, fields));
  const seen = known && 'seen' in known ? known.seen : [];
  if (theirs.status < 300)
    assert.deepEqual(seenByApp(ours.body, seen), seenByApp(theirs.body, seen));
}

interface Answer {
  readonly status: number;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly text: string;
}

/** Sends bytes and reads one answer, or what came in 1.5 s after which the server said nothing more. */
function ask(transport: Transport, port: number, bytes: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const head = bytes.startsWith('HEAD ');
    const where = { port, host: '127.0.0.1' };
    const begin = () => socket.write(Buffer.from(bytes, 'latin1'));
    const socket: Socket =
      transport === 'plain'
        ? connect(where, begin)
        : connectTls({ ...where, rejectUnauthorized: false }, begin);
    let text = '';
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(decoded(parse(text, head)) ?? { status: 0, fields: [], body: '', text });
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

function decoded(answer: Answer | null): Answer | null {
  if (!answer?.fields.some(([name, value]) => name === 'content-encoding' && value === 'gzip'))
    return answer;
  return { ...answer, body: gunzipSync(Buffer.from(answer.body, 'latin1')).toString('latin1') };
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

function comparable({ fields, body }: Answer, known: readonly string[]) {
  // An echo of what differs has another length.
  const skipped = body.startsWith('{') ? [...known, 'content-length'] : known;
  return fields
    .filter(([name]) => !volatileFields.has(name) && !skipped.includes(name))
    .map(([name, value]) => `${name}: ${value}`)
    .sort();
}

/** What the app saw, less what must differ; any other body as it is. */
function seenByApp(body: string, known: readonly string[]): unknown {
  if (!body.startsWith('{')) return body;
  const seen = JSON.parse(body) as { headers: Record<string, string> };
  for (const name of ['x-request-id', 'x-forwarded-port', 'connection', ...known])
    delete seen.headers[name];
  return seen;
}
