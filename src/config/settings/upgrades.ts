// Settings of connections that are upgraded to another protocol, and of clients that keep to one worker.

import { choice, duration, integer } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

export const upgradeSettings: readonly Setting[] = [
  setting('sticky', {
    group: 'Balancing',
    kind: choice(['auto', 'off', 'ip', 'cookie'], { placeholder: 'HOW' }),
    default: 'auto',
    help: 'Requests of a client to the same worker: auto, off, ip, cookie',
    doc: "`auto`: those of Socket.IO, which keeps its sessions in a worker's memory, by the client's address; all others go to any. `ip` and `cookie`: all requests to apps and upstreams, by address or by a cookie (`portico_worker`, and `portico_worker_NAME` for any app but the first). See [websockets.md](websockets.md).",
    known: 'nginx `ip_hash`, HAProxy `balance source`',
  }),
  setting('upgradeConnections', {
    group: 'Balancing',
    kind: integer({ min: 0, max: 1_000_000 }),
    default: 10_000,
    help: 'Most WebSockets and other upgrades open (else 503)',
    doc: 'At each edge. Each takes two file descriptors there and one in the worker. 0 takes none. See [websockets.md](websockets.md).',
    known: 'nginx `worker_connections`',
  }),
  setting('upgradeIdleTimeoutMs', {
    key: 'upgradeIdleTimeout',
    group: 'Balancing',
    kind: duration({ minMs: 0 }),
    default: 3_600_000,
    help: 'Longest silence on an upgraded connection; 0: any',
    doc: 'Both ways together: a ping by either side is enough.',
    known: 'nginx `proxy_read_timeout`',
  }),
  setting('upgradeGraceMs', {
    key: 'upgradeGrace',
    group: 'Balancing',
    kind: duration({ minMs: 0 }),
    default: 5_000,
    help: 'What upgraded connections get when their worker leaves',
    doc: 'On stop and on reload. Then WebSocket clients are sent a Close with status 1001, others the end of the connection, and connect anew to another worker. At most `gracefulTimeout`.',
    known: 'nginx `worker_shutdown_timeout`',
  }),
];
