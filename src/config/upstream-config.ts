// Reads what a route says of an HTTP upstream: where it is, and how it is asked. One table of fields.

import { isIPv6 } from 'node:net';
import { fieldValueValid } from '../http/fields.ts';
import { hostValid } from '../http/host.ts';
import { nearest } from './did-you-mean.ts';
import { defaultsOf, type FieldRow, rowsOf } from './field-rows.ts';
import {
  boolean,
  duration,
  integer,
  type Kind,
  optional,
  readParts,
  showDuration,
  text,
  Unfit,
} from './kinds.ts';

/** One address, or one name that stands for as many addresses as DNS says. */
export interface UpstreamTarget {
  readonly protocol: 'http' | 'https';
  readonly kind: 'tcp' | 'unix';
  /** Name or IP address without brackets; '' for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Absolute path of the Unix socket; '' for TCP. */
  readonly path: string;
  /** Share of the requests among all members: 1 to 1,000. Each address of a name has it. */
  readonly weight: number;
}

/** Questions that find out whether a member is well. */
export interface HealthCheck {
  /** Asked by GET; 200 to 399 is well. */
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** In a row, until a member gets no more requests. */
  readonly failures: number;
  /** In a row, until it gets requests again. */
  readonly successes: number;
}

/** How https upstreams are verified. */
export interface UpstreamTls {
  /** Absolute path of CA certificates in PEM, in place of the usual ones; null = the usual ones. */
  readonly caFile: string | null;
  /** Asked for (SNI) and looked for in the certificate; null = the target's host. */
  readonly serverName: string | null;
  readonly verify: boolean;
}

/** All that is known of an upstream. Plain data: it travels as JSON. Durations in milliseconds. */
export interface UpstreamConfig {
  readonly targets: readonly UpstreamTarget[];
  /** For TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** From the request to the head of the response; 0 = no limit. */
  readonly firstByteTimeoutMs: number;
  /** Between two pieces of a response's content; 0 = no limit. */
  readonly idleTimeoutMs: number;
  /** How long a connection without request is kept; 0 = none is. */
  readonly keepAliveMs: number;
  /** To each address, and so requests at a time; what is beyond waits in the queue. */
  readonly maxConnections: number;
  /** Kept without request, to each address. */
  readonly idleConnections: number;
  /** Requests that wait for a connection, and for how long. */
  readonly queueSize: number;
  readonly queueTimeoutMs: number;
  /** null = members are known by what requests meet only. */
  readonly healthCheck: HealthCheck | null;
  /** Failures in failTimeoutMs after which a member gets no requests for as long; 0 = never. */
  readonly maxFailures: number;
  readonly failTimeoutMs: number;
  /** A member that comes or comes back gets its full share after so long; 0 = at once. */
  readonly slowStartMs: number;
  /** Longest time between two questions to DNS; a shorter TTL counts. */
  readonly resolveMs: number;
  /** PROXY protocol said first on each connection: then none serves a second client. 0 = none. */
  readonly proxyProtocol: 0 | 1 | 2;
  /** What the upstream finds in Host: the client's, the target's, or this text. */
  readonly hostField: 'client' | 'target' | (string & {});
  readonly tls: UpstreamTls;
}

const targetExpected =
  'http://HOST[:PORT], https://HOST[:PORT], unix:/PATH or a list of them; in a config file also { targets, … }';

/** What an upstream may say beside its targets. */
type Options = Omit<UpstreamConfig, 'targets'>;
const row = rowsOf<Options>();

const healthDefaults: HealthCheck = {
  ...{ path: '/', intervalMs: 5_000, timeoutMs: 2_000, failures: 2, successes: 2 },
};

const requestPath: Kind<string> = {
  ...text('a path such as /health', 'PATH'),
  read: (raw) => (typeof raw === 'string' && /^\/[!-~]*$/.test(raw) ? raw : new Unfit()),
};

const wait = duration({ minMs: 1 });
const waitOrNone = duration({ minMs: 0 });

const healthCheck: Kind<HealthCheck> = {
  expected:
    'a path such as /health, or { path, interval: 5, timeout: 2, failures: 2, successes: 2 }',
  placeholder: 'PATH',
  inputType:
    'string | { path?: string; interval?: number | string; timeout?: number | string; failures?: number; successes?: number }',
  flag: 'value',
  read(raw) {
    if (typeof raw === 'string') return readTable({ path: raw }, healthKinds, healthDefaults);
    return readTable(raw, healthKinds, healthDefaults);
  },
  show: ({ path, intervalMs }) => `${path} every ${showDuration(intervalMs)}`,
};

const count = integer({ min: 1, max: 1_000 });
const healthKinds: Table<HealthCheck> = {
  path: ['path', requestPath],
  interval: ['intervalMs', duration({ minMs: 100 })],
  timeout: ['timeoutMs', wait],
  failures: ['failures', count],
  successes: ['successes', count],
};

const tlsDefaults: UpstreamTls = { caFile: null, serverName: null, verify: true };

const hostName: Kind<string> = {
  ...text('a host name', 'NAME'),
  read: (raw) => (typeof raw === 'string' && raw !== '' && hostValid(raw) ? raw : new Unfit()),
};

const tlsKinds: Table<UpstreamTls> = {
  caFile: ['caFile', optional(text('a file of CA certificates', 'FILE'), 'none')],
  serverName: ['serverName', optional(hostName, 'none')],
  verify: ['verify', boolean],
};

const tls: Kind<UpstreamTls> = {
  expected: '{ caFile, serverName, verify }',
  placeholder: 'TLS',
  inputType: '{ caFile?: string | null; serverName?: string | null; verify?: boolean }',
  flag: 'value',
  read: (raw) => readTable(raw, tlsKinds, tlsDefaults),
  show: ({ verify, caFile }) =>
    verify ? `verified${caFile === null ? '' : ` by ${caFile}`}` : 'not verified',
};

const hostField: Kind<string> = {
  expected: 'client, target, or a host such as api.example.com',
  placeholder: 'HOST',
  inputType: 'string',
  flag: 'value',
  read: (raw) =>
    typeof raw === 'string' && raw !== '' && hostValid(raw) && fieldValueValid(raw)
      ? raw
      : new Unfit(),
  show: (value) => value,
};

const proxyProtocol: Kind<0 | 1 | 2> = {
  expected: '1 or 2 for a version, 0 for none',
  placeholder: 'VERSION',
  inputType: '0 | 1 | 2 | boolean',
  flag: 'value',
  read(raw) {
    if (typeof raw === 'boolean') return raw ? 2 : 0;
    const read = integer({ min: 0, max: 2 }).read(raw);
    return read instanceof Unfit ? read : (read as 0 | 1 | 2);
  },
  show: (value) => (value === 0 ? 'none' : `v${value}`),
};

/** In the order in which the docs show them. */
export const upstreamFields: readonly FieldRow<Options>[] = [
  row({
    ...{ key: 'connectTimeout', field: 'connectTimeoutMs', kind: wait, default: 5_000 },
    help: 'Longest wait for a connection, TLS included; then another member is tried',
  }),
  row({
    ...{ key: 'firstByteTimeout', field: 'firstByteTimeoutMs', kind: waitOrNone },
    default: 60_000,
    help: 'Longest wait for a response to begin (else 504); 0 for no limit',
  }),
  row({
    ...{ key: 'idleTimeout', field: 'idleTimeoutMs', kind: waitOrNone, default: 300_000 },
    help: 'Longest silence within a response, which is then cut; 0 for no limit',
  }),
  row({
    ...{ key: 'keepAlive', field: 'keepAliveMs', kind: waitOrNone, default: 4_000 },
    help: 'How long a connection without request is kept: less than the upstream keeps it (Node and uvicorn 5 s)',
  }),
  row({
    ...{ key: 'maxConnections', field: 'maxConnections', default: 256 },
    kind: integer({ min: 1, max: 65_535 }),
    help: 'Connections to each address at a time; requests beyond wait',
  }),
  row({
    ...{ key: 'idleConnections', field: 'idleConnections', default: 64 },
    kind: integer({ min: 0, max: 65_535 }),
    help: 'Connections without request that are kept to each address',
  }),
  row({
    ...{ key: 'queueSize', field: 'queueSize', default: 1_024 },
    kind: integer({ min: 0, max: 1_000_000 }),
    help: 'Most requests that wait for a connection (else 503)',
  }),
  row({
    ...{ key: 'queueTimeout', field: 'queueTimeoutMs', kind: wait, default: 30_000 },
    help: 'Longest wait for a connection (else 503)',
  }),
  row({
    ...{ key: 'healthCheck', field: 'healthCheck', default: null },
    kind: optional(healthCheck, 'none'),
    help: 'Path that is asked for at each address: who does not answer with 200 to 399 gets no requests',
  }),
  row({
    ...{ key: 'maxFailures', field: 'maxFailures', default: 3 },
    kind: integer({ min: 0, max: 1_000 }),
    help: 'Requests that fail within `failTimeout` before the address gets none for as long; 0 for never',
  }),
  row({
    ...{ key: 'failTimeout', field: 'failTimeoutMs', kind: wait, default: 10_000 },
    help: 'See `maxFailures`; after it one request is let through, and decides',
  }),
  row({
    ...{ key: 'slowStart', field: 'slowStartMs', kind: waitOrNone, default: 0 },
    help: 'An address that comes, or comes back, gets more and more until its full share after so long',
  }),
  row({
    ...{ key: 'resolve', field: 'resolveMs', default: 10_000 },
    kind: duration({ minMs: 100 }),
    help: 'Names are looked up again after so long, or sooner if their TTL is shorter',
  }),
  row({
    ...{ key: 'proxyProtocol', field: 'proxyProtocol', kind: proxyProtocol, default: 0 },
    help: 'Tells who the client is by PROXY protocol, version 1 or 2; each request has a connection of its own then',
  }),
  row({
    ...{ key: 'host', field: 'hostField', kind: hostField, default: 'client' },
    help: "Host for the upstream: the client's, the `target`'s own, or a name",
  }),
  row({
    ...{ key: 'tls', field: 'tls', kind: tls, default: tlsDefaults },
    help: 'How certificates of https upstreams are checked: `caFile`, `serverName`, `verify`',
  }),
];

/** Kinds by key in a config file, each with its field. */
type Table<T> = Readonly<Record<string, readonly [keyof T, Kind<never> | Kind<unknown>]>>;

function readTable<T>(raw: unknown, table: Table<T>, defaults: T): T | Unfit {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) return new Unfit();
  const read: Partial<Record<keyof T, unknown>> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (value === undefined) continue;
    const entry = Object.hasOwn(table, key) ? table[key] : undefined;
    if (entry === undefined) return new Unfit(unknownKey(key, Object.keys(table)));
    const [field, kind] = entry;
    const one = kind.read(value);
    if (one instanceof Unfit) {
      const hint = one.hint === '' ? '' : ` (${one.hint})`;
      return new Unfit(`${key} is to be ${kind.expected}${hint}`);
    }
    read[field] = one;
  }
  return { ...defaults, ...read };
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  const hint = meant === null ? '' : `: did you mean ${meant}?`;
  return `there is no field ${key.slice(0, 40)}${hint}`;
}

const optionKinds = Object.fromEntries(
  upstreamFields.map(({ key, field, kind }) => [key, [field, kind]]),
) as unknown as Table<UpstreamConfig>;

/** An upstream with the defaults for all that is not said. */
export function upstreamOf(
  given: Pick<UpstreamConfig, 'targets'> & Partial<UpstreamConfig>,
): UpstreamConfig {
  return { ...defaultsOf(upstreamFields), ...given };
}

/** 'http://api:8000', ['http://10.0.0.1:8000', 'unix:/run/x.sock'], { targets: [{ url, weight }],
 *  maxConnections: 100, … }; paths of files as given. */
export const upstream: Kind<UpstreamConfig> = {
  expected: targetExpected,
  placeholder: 'URL',
  inputType: 'string | readonly UpstreamTargetInput[] | UpstreamInput',
  flag: 'repeat',
  read(raw) {
    const isTable = raw !== null && typeof raw === 'object' && !Array.isArray(raw);
    const { targets: given, ...options } = isTable
      ? (raw as { targets?: unknown })
      : { targets: raw };
    const listed =
      typeof given === 'string' ? given.split(',').map((part) => part.trim()) : [given].flat();
    const targets = readParts(
      listed.filter((part) => part !== ''),
      readTarget,
    );
    if (targets instanceof Unfit) return targets;
    if (targets.length === 0) return new Unfit('a target is missing');
    if (targets.length > TARGETS_MAX) return new Unfit(`at most ${TARGETS_MAX} targets`);
    return readTable(options, optionKinds, upstreamOf({ targets }));
  },
  show: (value) => value.targets.map(showTarget).join(', '),
};

/** A choice looks at each. */
const TARGETS_MAX = 256;

const weightKind = integer({ min: 1, max: 1_000 });

function readTarget(raw: unknown): UpstreamTarget | Unfit {
  if (raw === null || typeof raw !== 'object') return parseTarget(raw, 1);
  const { url, weight = 1, ...rest } = raw as { url?: unknown; weight?: unknown };
  const [odd] = Object.keys(rest);
  if (odd !== undefined) return new Unfit(unknownKey(odd, ['url', 'weight']));
  const share = weightKind.read(weight);
  if (share instanceof Unfit) return new Unfit(`weight is to be ${weightKind.expected}`);
  return parseTarget(url, share);
}

/** The URL class makes other hosts of some, and sees no Unix sockets; so the few forms are read here. */
function parseTarget(raw: unknown, weight: number): UpstreamTarget | Unfit {
  if (typeof raw !== 'string') return new Unfit();
  if (raw.startsWith('unix:')) {
    const path = raw.slice(5).replace(/^\/\/(?=\/)/, '');
    if (!path.startsWith('/')) return new Unfit('the path of a socket is to be absolute');
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX || path.includes('\0')) return new Unfit();
    return { protocol: 'http', kind: 'unix', host: '', port: 0, path, weight };
  }
  const match = /^(https?):\/\/(?:\[([^\]]+)\]|([\w.-]+))(?::(\d{1,5}))?(\/.*)?$/i.exec(raw);
  if (match === null) {
    if (/^[\w.-]+(:\d+)?$/.test(raw)) return new Unfit(`did you mean "http://${raw}"?`);
    return new Unfit();
  }
  const [, scheme, v6, name = '', portText, path = '/'] = match;
  if (path !== '/') return new Unfit('paths are changed by strip and rewrite, not by the target');
  if (v6 !== undefined && !isIPv6(v6)) return new Unfit();
  const protocol = scheme!.toLowerCase() as 'http' | 'https';
  const port = Number(portText ?? (protocol === 'https' ? 443 : 80));
  if (port < 1 || port > 65_535) return new Unfit();
  return { protocol, kind: 'tcp', host: v6 ?? name.toLowerCase(), port, path: '', weight };
}

/** Of sun_path on Linux, without its NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

/** As a URL, for logs, status and docs. */
export function showTarget({ protocol, kind, host, port, path, weight }: UpstreamTarget): string {
  const share = weight === 1 ? '' : ` (weight ${weight})`;
  if (kind === 'unix') return `unix:${path}${share}`;
  return `${protocol}://${isIPv6(host) ? `[${host}]` : host}:${port}${share}`;
}
