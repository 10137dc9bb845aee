// Settings of the edge: clients' connections and their limits, balancing.

import { trustedPeer } from '../address.ts';
import { boolean, duration, integer, list, size } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

const mega = 1024 ** 2;
const giga = 1024 ** 3;

export const connectionSettings: readonly Setting[] = [
  setting('keepAliveMs', {
    key: 'keepAlive',
    group: 'Connections',
    kind: duration({ minMs: 0 }),
    default: 2000,
    help: 'How long an idle connection is kept; 0: not at all',
    doc: 'Behind a load balancer, make it longer than the idle timeout of that: `75s`.',
    known: 'Gunicorn `keepalive`, nginx `keepalive_timeout`',
  }),
  setting('headerTimeoutMs', {
    key: 'headerTimeout',
    group: 'Connections',
    kind: duration({ minMs: 1 }),
    default: 30_000,
    help: 'Time for the whole request head (else 408)',
    known: 'nginx `client_header_timeout`',
  }),
  setting('bodyTimeoutMs', {
    key: 'bodyTimeout',
    group: 'Connections',
    kind: duration({ minMs: 1 }),
    default: 60_000,
    help: 'Longest pause in request content (else 408)',
    known: 'nginx `client_body_timeout`',
  }),
  setting('sendTimeoutMs', {
    key: 'sendTimeout',
    group: 'Connections',
    kind: duration({ minMs: 1 }),
    default: 60_000,
    help: 'Longest pause in which a client takes no response',
    known: 'nginx `send_timeout`',
  }),
  setting('limitRequestLineBytes', {
    key: 'limitRequestLine',
    group: 'Connections',
    kind: size({ minBytes: 16, maxBytes: mega }),
    default: 4094,
    help: 'Longest request line (else 414)',
    doc: "Gunicorn's 0 (no limit) is not to be had: every buffer has one.",
    known: 'Gunicorn `limit_request_line`, nginx `large_client_header_buffers`',
  }),
  setting('limitRequestFields', {
    group: 'Connections',
    kind: integer({ min: 1, max: 32_768 }),
    default: 100,
    help: 'Most header fields of a request (else 431)',
    known: 'Gunicorn `limit_request_fields`',
  }),
  setting('limitRequestFieldSizeBytes', {
    key: 'limitRequestFieldSize',
    flags: ['--limit-request-field_size'],
    group: 'Connections',
    kind: size({ minBytes: 16, maxBytes: mega }),
    default: 8190,
    help: 'Longest header field, name and value (else 431)',
    known: 'Gunicorn `limit_request_field_size`, nginx `large_client_header_buffers`',
  }),
  setting('limitRequestBodyBytes', {
    key: 'limitRequestBody',
    group: 'Connections',
    kind: size({ minBytes: 1, maxBytes: 1024 * giga, zero: 'no limit' }),
    default: giga,
    help: 'Largest request content (else 413); 0: no limit',
    doc: "Content is streamed to `async` workers as it comes, so large uploads cost no memory; for `sync` workers it is read in full first, to a temporary file when it is large, and then the limit is also one on disk space. nginx's 1 MB surprises everyone once; this is a net against mistakes and abuse, so set it to what the app expects.",
    known: 'nginx `client_max_body_size`',
  }),
  setting('permitBareLf', {
    group: 'Connections',
    kind: boolean,
    default: false,
    help: 'Accept lines that end in LF without CR, as nginx does',
    doc: 'RFC 9112 section 2.2 permits it. There is no second parser behind the edge that could read the request otherwise.',
  }),
  setting('forwardedAllowIps', {
    group: 'Connections',
    kind: list(trustedPeer, { repeat: false, min: 0 }),
    default: ['127.0.0.1', '::1'],
    help: 'Whose X-Forwarded-* to believe',
    doc: 'IP addresses, CIDR blocks, `unix` and `*`, with commas between. From everyone else these fields are thrown away and set anew. `unix` is whoever connects over a Unix socket. `*` believes everybody: only where nothing but a proxy can connect.',
    known: 'Gunicorn `forwarded_allow_ips`, nginx `set_real_ip_from`',
  }),
  setting('forwarded', {
    group: 'Connections',
    kind: boolean,
    default: false,
    help: 'Also send the app Forwarded (RFC 7239)',
  }),
  setting('queueSize', {
    group: 'Balancing',
    kind: integer({ min: 0, max: 1_000_000 }),
    default: 1024,
    help: 'Most requests that wait for a worker (else 503)',
    doc: 'At each edge.',
    known: 'HAProxy `maxqueue`',
  }),
  setting('queueTimeoutMs', {
    key: 'queueTimeout',
    group: 'Balancing',
    kind: duration({ minMs: 1 }),
    default: 30_000,
    help: 'Longest wait for a worker (else 503)',
    known: 'HAProxy `timeout queue`',
  }),
  setting('responseTimeoutMs', {
    key: 'responseTimeout',
    group: 'Balancing',
    kind: duration({ minMs: 0 }),
    default: 60_000,
    help: 'Longest wait for a response to begin (else 504)',
    doc: '0 is no limit. Once begun, a response may take any time.',
    known: 'nginx `proxy_read_timeout`',
  }),
  setting('healthEndpoints', {
    group: 'Balancing',
    kind: boolean,
    default: true,
    help: 'Answer /-/healthz and /-/readyz at the edge',
    doc: "`/-/healthz` says that the edge lives, `/-/readyz` that requests to the app will be answered. The app's own `/health` passes through. See [health.md](health.md).",
  }),
  setting('readyWorkers', {
    group: 'Balancing',
    kind: integer({ min: 1, max: 100_000 }),
    default: 1,
    help: 'Workers that must be ready for /-/readyz',
    doc: 'With fewer, and once a stop has begun, `/-/readyz` answers 503.',
  }),
];
