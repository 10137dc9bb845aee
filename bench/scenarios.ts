// What is measured: one row of the table for each scenario and peer.

import type { Load } from './load.ts';
import type { PythonKind } from './python-peers.ts';
import type { SocketLoad } from './sockets.ts';
import type { UpstreamKind } from './upstream-peers.ts';

export interface Scenario {
  readonly name: string;
  readonly app: string;
  readonly load: Load;
  /** Comes first where the load itself is too few requests for code to be compiled: V8 goes by calls, and would
   *  be compiling all through the measurement. */
  readonly warmUp?: Load;
  /** Length of a turn. More than 1, the default, where a second is but a few requests of each connection: connecting and TCP's
   *  slow start would be most of what is seen. */
  readonly seconds?: number;
  readonly accessLog: boolean;
  /** nginx compresses too, at the same level. Only the peers that can are run. */
  readonly gzip?: boolean;
  /** The response cache is on; nginx's proxy_cache too. Only the peers that have one are run. */
  readonly cache?: boolean;
  /** What one more client downloads over and over while the load runs. */
  readonly beside?: Load;
  /** Over HTTP/2 without TLS, by h2load. Only the peers that speak it are run. */
  readonly http2?: boolean;
  /** Over TLS. Only the peers that do it are run. */
  readonly tls?: true;
  /** A new TLS connection for each request, by openssl s_time. */
  readonly handshakes?: 'full' | 'resumed';
  /** App processes, where that is not left to the command line. */
  readonly workers?: number;
  /** Before HTTP upstreams that are reached so, and are not measured: the cost is the front's alone. */
  readonly upstream?: UpstreamKind;
  /** A Python app, of the pool and behind nginx. */
  readonly python?: PythonKind;
  /** Connections that stay, in place of `load`. */
  readonly sockets?: SocketLoad;
  /** Files, without an app, between servers of files. */
  readonly isStatic?: true;
  /** Most CPU per request against the named peer that the project allows itself. */
  readonly bars: readonly { readonly peer: string; readonly cpuRatioMax: number }[];
  /** Least requests or messages a second against the named peer. */
  readonly rateBars?: readonly { readonly peer: string; readonly rateRatioMin: number }[];
}

/** What a current browser sends: 12 fields, about 700 bytes. */
const browserFields = [
  'User-Agent: Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.8,fr;q=0.7',
  'Cache-Control: no-cache',
  'Cookie: session=3f2a9c1b5d7e8f00112233445566778899aabbccddeeff; theme=dark; consent=1',
  'Referer: https://shop.example.com/catalogue/shoes?page=2&sort=price',
  'Sec-Ch-Ua: "Chromium";v="156", "Not.A/Brand";v="24"',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
  'Upgrade-Insecure-Requests: 1',
];

const bars = [
  { peer: 'nginx → node', cpuRatioMax: 0.7 },
  { peer: 'http-proxy → node', cpuRatioMax: 0.35 },
];

const http2Bars = [{ peer: 'nginx → node', cpuRatioMax: 0.9 }];

/** Handshakes in the same time; their CPU stands beside. */
const handshakeBars = [{ peer: 'nginx → node', rateRatioMin: 0.8 }];

const pythonBars = [{ peer: 'nginx → Python', rateRatioMin: 0.95 }];

const plain = { app: 'routes.mjs', accessLog: false, bars: [] };

const gzip = ['Accept-Encoding: gzip'];

export const scenarios: readonly Scenario[] = [
  { ...plain, name: 'hello', load: { path: '/' }, bars },
  { ...plain, name: 'hello with browser fields', load: { path: '/', fields: browserFields }, bars },
  {
    ...plain,
    name: 'HTTP/2 hello, 1 worker',
    http2: true,
    workers: 1,
    load: { path: '/' },
    bars: http2Bars,
  },
  {
    ...plain,
    name: 'HTTP/2 hello, 2 workers',
    http2: true,
    workers: 2,
    load: { path: '/' },
    bars: http2Bars,
  },
  {
    ...plain,
    name: 'HTTP/2 hello over TLS',
    http2: true,
    tls: true,
    load: { path: '/' },
    bars: http2Bars,
  },
  {
    ...plain,
    name: 'HTTP/2 hello, browser fields',
    http2: true,
    load: { path: '/', fields: browserFields },
  },
  {
    ...plain,
    name: 'hello, TLS keep-alive',
    tls: true,
    load: { path: '/' },
    bars: [{ peer: 'nginx → node', cpuRatioMax: 0.8 }],
  },
  {
    ...plain,
    name: 'TLS full handshakes',
    tls: true,
    handshakes: 'full',
    load: { path: '/' },
    bars: [],
    rateBars: handshakeBars,
  },
  {
    ...plain,
    name: 'TLS resumed handshakes',
    tls: true,
    handshakes: 'resumed',
    load: { path: '/' },
    bars: [],
    rateBars: handshakeBars,
  },
  { ...plain, name: 'hello, access log', load: { path: '/' }, accessLog: true },
  { ...plain, name: 'json 10 KB', load: { path: '/json' } },
  { ...plain, name: 'body 1 MB', load: { path: '/megabyte' } },
  {
    ...plain,
    name: 'POST 64 KB',
    load: { path: '/post', method: 'POST', bodyBytes: 64 * 1024 },
  },
  // A busy page that may be a second old: the app is asked once a second.
  { ...plain, name: 'micro-cache hello', cache: true, load: { path: '/second' } },
  { ...plain, name: 'micro-cache 10 KB', cache: true, load: { path: '/second.json' } },
  { ...plain, name: 'Express hello', app: 'express.mjs', load: { path: '/' } },
  { ...plain, name: 'Fastify hello', app: 'fastify.mjs', load: { path: '/' } },
  {
    ...{ ...plain, name: 'FastAPI hello', app: 'hello_fastapi', load: { path: '/' } },
    ...{ python: 'asgi', rateBars: pythonBars },
  },
  {
    ...{ ...plain, name: 'Flask hello', app: 'hello_flask', load: { path: '/' } },
    ...{ python: 'wsgi', rateBars: pythonBars },
  },
  { ...plain, name: 'json 10 KB, gzip', gzip: true, load: { path: '/json', fields: gzip } },
  {
    ...plain,
    name: 'hello beside 50 MB, gzip',
    gzip: true,
    load: { path: '/' },
    beside: { path: '/large', fields: gzip },
  },
  // The same without compression, to tell what the download costs by itself.
  {
    ...plain,
    name: 'hello beside 50 MB, plain',
    gzip: true,
    load: { path: '/' },
    beside: { path: '/large' },
  },
];
