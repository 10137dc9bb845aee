// The same HTTP/2 requests to Portico and to nginx in front of the same app: status, fields and content are the same, and
// so is what the app sees, but for the differences on the list, each with its reason.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bindBoth, tlsPortOf } from '../helpers/both-binds.ts';
import { ask, type Http2Ask, type Http2Response, h2, h2c } from '../helpers/http2-client.ts';
import { needs } from '../helpers/need.ts';
import { startNginx } from '../helpers/nginx.ts';
import { repositoryRoot, startPortico, suiteOwner } from '../helpers/portico.ts';

const fixtures = join(repositoryRoot, 'test/fixtures/parity');

/** Fields whose value, or presence, is each server's own business. */
const volatileFields = ['date', 'server', 'etag', 'x-request-id', 'connection', 'keep-alive'];

type Transport = 'plain' | 'TLS';

interface Case extends Http2Ask {
  readonly name: string;
  readonly path: string;
  /** Known difference in the status: Portico's and nginx's. 0 = a reset stream. */
  readonly differs?: readonly [number, number, why: string];
  /** Fields of the answer, or of what the app sees, that differ. */
  readonly except?: readonly string[];
}

const mediaType = ['content-type', 'cache-control', 'accept-ranges'];

const ownPage = [
  ...['content-type', 'content-length', 'allow', 'cache-control'],
  ...['x-content-type-options', 'body'],
];

const cases: readonly Case[] = [
  { name: 'a plain GET', path: '/hello?x=1' },
  { name: 'HEAD', path: '/fields', headers: { ':method': 'HEAD' } },
  { name: 'repeated response fields', path: '/fields' },
  { name: 'an empty answer', path: '/empty' },
  { name: 'an answer of unknown length', path: '/chunked' },
  { name: 'a large answer', path: '/large' },
  ...[201, 204, 301, 304, 404, 500, 503].map((code) => ({
    name: `status ${code} from the app`,
    path: `/status?code=${code}`,
    // nginx takes the type off what has no content.
    except: code === 204 ? ['content-type'] : [],
  })),
  {
    name: 'a POST with Content-Length',
    path: '/p',
    body: 'hello',
    headers: { 'content-length': '5' },
  },
  {
    name: 'a POST of unknown length',
    path: '/p',
    body: 'hello',
    // nginx has read the short content whole and passes its length on; here it streams as it came.
    except: ['content-length', 'transfer-encoding'],
  },
  { name: 'PUT', path: '/p', body: 'ok', headers: { ':method': 'PUT', 'content-length': '2' } },
  { name: 'DELETE', path: '/p', headers: { ':method': 'DELETE' } },
  { name: 'an unknown method', path: '/p', headers: { ':method': 'PROPFIND' } },
  { name: 'a target that needs no decoding', path: '/a%2Fb//c/../d?e=%20f' },
  { name: 'an authority with a port', path: '/', headers: { ':authority': 'shop.example:8443' } },
  { name: 'cookies in pieces', path: '/', headers: { cookie: ['a=1', 'b=2'] } },
  {
    name: 'spoofed X-Forwarded-* fields',
    path: '/',
    headers: {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-real-ip': '6.6.6.6',
      'x-forwarded-host': 'evil',
    },
  },
  // A field for the next hop alone (RFC 9110 section 7.6.1); nginx lets it pass.
  { name: 'hop-by-hop response fields', path: '/hop', except: ['proxy-authenticate'] },
  { name: 'a static file', path: '/static/file.txt', except: mediaType },
  {
    name: 'a part of a static file',
    path: '/static/file.txt',
    headers: { range: 'bytes=0-3' },
    except: mediaType,
  },
  {
    name: 'a static file that is not there',
    path: '/static/none.txt',
    except: [...mediaType, 'content-length', 'x-content-type-options', 'body'],
  },
  {
    name: 'a Host that is not the authority',
    path: '/',
    headers: { ':authority': 'a.example', host: 'b.example' },
    // The same status; each has its own page.
    except: ownPage,
  },
  {
    name: 'a path that is too long',
    path: `/${'a'.repeat(5000)}`,
    differs: [414, 200, "Gunicorn's limit is 4094 bytes; limitRequestLine sets it"],
  },
  {
    name: 'TRACE',
    path: '/',
    headers: { ':method': 'TRACE' },
    except: ownPage,
  },
];

describe('HTTP/2 parity with nginx', { ...needs('nginx'), concurrency: false }, () => {
  const suite = suiteOwner();
  let ports: Record<Transport, { portico: number; nginx: number }>;
  before(async () => {
    const staticDir = mkdtempSync(join(tmpdir(), 'portico-parity-'));
    writeFileSync(join(staticDir, 'file.txt'), 'a static file\n');
    const keys = mkdtempSync(join(tmpdir(), 'portico-parity-'));
    suite.after(async () => {
      for (const dir of [staticDir, keys]) rmSync(dir, { recursive: true });
    });
    const portico = await startPortico(suite, [
      ...['--workers', '2', '--h2c', '--keep-alive', '60', '--static', `/static=${staticDir}`],
      ...['--forwarded-allow-ips', '', ...(await bindBoth(keys))],
      `${join(fixtures, 'app.mjs')}:app`,
    ]);
    const nginx = await startNginx(suite, staticDir);
    ports = {
      plain: { portico: portico.port, nginx: nginx.h2c },
      TLS: { portico: tlsPortOf(portico), nginx: nginx.tlsPort },
    };
  });
  after(() => suite.end());

  for (const transport of ['plain', 'TLS'] as const)
    for (const one of cases)
      test(`${transport}: ${one.name}`, async (t) => {
        const { portico, nginx } = ports[transport];
        const open = transport === 'plain' ? h2c : h2;
        // Named alike for both: each has a port of its own.
        const headers = { ':authority': 'shop.example', ...one.headers };
        compare(
          one,
          ...(await Promise.all([
            ask(open(t, portico), one.path, { ...one, headers }),
            ask(open(t, nginx), one.path, { ...one, headers }),
          ])),
        );
      });
});

function compare(one: Case, own: Http2Response, other: Http2Response): void {
  const [status, nginxStatus] = one.differs ?? [own.status, own.status];
  assert.deepEqual([own.status, other.status], [status, nginxStatus]);
  if (status !== nginxStatus) return;
  const except = one.except ?? [];
  assert.deepEqual(fieldsOf(own, except), fieldsOf(other, except));
  assert.equal(own.resetCode, other.resetCode);
  if (!except.includes('body')) assert.deepEqual(seen(own, except), seen(other, except));
}

function fieldsOf({ headers, body }: Http2Response, except: readonly string[]) {
  // An echo of what differs has another length.
  const skipped = [
    ...volatileFields,
    ...except,
    ...(body.startsWith('{') ? ['content-length'] : []),
  ];
  return Object.entries(headers)
    .filter(([name]) => !name.startsWith(':') && !skipped.includes(name))
    .map(([name, value]) => `${name}: ${String(value)}`)
    .sort();
}

/** What the app saw, less what must differ; any other body as it is. */
function seen({ body }: Http2Response, except: readonly string[]): unknown {
  if (!body.startsWith('{')) return body;
  const all = JSON.parse(body) as { headers: Record<string, string>; httpVersion?: string };
  for (const name of ['x-request-id', 'x-forwarded-port', 'connection', ...except])
    delete all.headers[name];
  // nginx speaks HTTP/1.1 to the app; the edge tells it what the client spoke.
  delete all.httpVersion;
  return all;
}
