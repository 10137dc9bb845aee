// What is measured of HTTP upstreams and of connections that stay: the front alone, beside nginx.

import type { Scenario } from './scenarios.ts';

const plain = { app: 'routes.mjs', accessLog: false, load: { path: '/' } };
const bars = [{ peer: 'nginx', cpuRatioMax: 2 }];
const stay = { ...plain, app: 'sockets.mjs', workers: 1, bars: [], upstream: 'tcp' } as const;

export const upstreamScenarios: readonly Scenario[] = [
  { ...plain, name: 'HTTP upstream, Unix socket', upstream: 'unix', bars },
  { ...plain, name: 'HTTP upstream, TCP', upstream: 'tcp', bars },
  { ...plain, name: 'HTTP upstream, 10 KB', upstream: 'tcp', load: { path: '/json' }, bars },
  {
    ...{ ...plain, name: 'HTTP upstream, POST 64 KB', upstream: 'tcp', bars },
    load: { path: '/post', method: 'POST', bodyBytes: 64 * 1024 },
  },
  {
    ...{ ...stay, name: 'WebSocket echo, 1,000 open', sockets: { kind: 'echo', open: 1_000 } },
    rateBars: [{ peer: 'nginx', rateRatioMin: 0.6 }],
  },
  { ...stay, name: 'new WebSockets, 1,000 open', sockets: { kind: 'connect', open: 1_000 } },
  { ...stay, name: 'event stream, 2,000 clients', sockets: { kind: 'events', open: 2_000 } },
];
