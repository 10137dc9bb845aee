// What is measured of static files, beside nginx and beside serve-static alone.

import type { Scenario } from './scenarios.ts';
import { FILES } from './static-site.ts';

/** `times` the requests that the other serves for the same CPU time. */
function bar(peer: string, times: number) {
  return { peer, cpuRatioMax: 1 / times };
}

const plain = { app: '', accessLog: false, isStatic: true as const, bars: [] };

export const staticScenarios: readonly Scenario[] = [
  {
    ...plain,
    name: 'static 1 KB',
    load: { path: '/1k.html' },
    bars: [bar('nginx static', 1), bar('serve-static', 8)],
  },
  { ...plain, name: 'static 10 KB', load: { path: '/10k.js' } },
  {
    ...plain,
    name: 'static 100 KB',
    load: { path: '/100k.js' },
    bars: [bar('nginx static', 1.1)],
  },
  {
    ...plain,
    name: 'static 10 MB',
    warmUp: { path: '/5m.bin' },
    seconds: 5,
    load: { path: '/10m.bin' },
    bars: [bar('nginx static', 0.9)],
  },
  {
    ...plain,
    name: 'static 304',
    // As a validator of each server's own would do, without asking for it first.
    load: { path: '/1k.html', fields: ['If-None-Match: *'] },
    bars: [bar('nginx static', 1)],
  },
  {
    ...plain,
    name: 'static range',
    load: { path: '/100k.js', fields: ['Range: bytes=1000-1999'] },
  },
  {
    ...plain,
    name: 'static precompressed',
    load: { path: '/packed.js', fields: ['Accept-Encoding: gzip'] },
  },
  { ...plain, name: 'static 1 KB, TLS', tls: true, load: { path: '/1k.html' } },
  { ...plain, name: 'static 100 KB, TLS', tls: true, load: { path: '/100k.js' } },
  {
    ...plain,
    name: 'static 10 MB, TLS',
    tls: true,
    warmUp: { path: '/5m.bin' },
    seconds: 5,
    load: { path: '/10m.bin' },
  },
  {
    ...plain,
    name: 'static 10,000 files',
    load: { path: '/', fileCount: FILES },
    bars: [bar('nginx static', 0.7)],
  },
];
