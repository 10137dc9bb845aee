// Checks messages on arrival: a worker runs the user's code, so nothing it says is believed to
// have the shape it should. Pure.

import type { FromEdge, FromWorker, ToEdge, ToWorker } from './messages.ts';

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;

/** Longest text a child may put into a message; longer is cut. */
const textCharsMax = 16_384;
const listMax = 4_096;

const text: Check = (value) => typeof value === 'string';
const count: Check = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
/** Numbers by name. */
const counts: Check = (value) =>
  typeof value === 'object' &&
  value !== null &&
  Object.keys(value).length <= listMax &&
  Object.values(value).every(count);
const finite: Check = (value) => Number.isFinite(value);
const protocol: Check = (value) => value === 'link' || value === 'http' || value === 'http-kept';
const bootExit: Check = (value) => value === 3 || value === 4;
const object: Check = (value) => typeof value === 'object' && value !== null;
/** Absolute, as the arbiter puts it into Unix socket addresses; 108 bytes is sun_path's size. */
const socketPaths: Check = (value) =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.length <= listMax &&
  value.every((path) => typeof path === 'string' && path.startsWith('/') && path.length < 108);

const workerShare: Check = (value) =>
  fits(value, { id: count, inFlight: count, upgraded: count, served: count });
const cacheStats: Check = (value) =>
  value === null || fits(value, { hits: count, misses: count, entries: count, bytes: count });
const acmeName: Check = (value) =>
  fits(value, {
    host: text,
    phase: text,
    notAfterMs: (at) => at === null || count(at),
    nextTryMs: count,
    failures: count,
    lastError: (error) => error === null || text(error),
  });
const acmeNames: Check = (value) =>
  value === null || (Array.isArray(value) && value.length <= listMax && value.every(acmeName));
const tlsStatus: Check = (value) =>
  value === null || fits(value, { underWay: count, full: count, resumed: count, failures: counts });
const certificate: Check = (value) =>
  fits(value, {
    source: text,
    file: (path) => path === null || text(path),
    names: (list) => Array.isArray(list) && list.every(text),
    issuer: text,
    key: text,
    notBeforeMs: finite,
    notAfterMs: finite,
  });
const upstreamMember: Check = (value) =>
  fits(value, {
    address: text,
    state: text,
    weight: count,
    inFlight: count,
    served: count,
    failures: count,
    lastFailure: (why) => why === null || text(why),
  });
const upstreamStatus: Check = (value) =>
  fits(value, {
    name: text,
    queued: count,
    members: (list) => Array.isArray(list) && list.every(upstreamMember),
  });
const routeStatus: Check = (value) => fits(value, { name: text, requests: count, refused: count });
const edgeStatus: Check = (value) =>
  fits(value, {
    pid: count,
    connections: count,
    requestsInFlight: count,
    requestsServed: count,
    queued: count,
    rssBytes: count,
    cache: cacheStats,
    tls: tlsStatus,
    acme: acmeNames,
    certificates: (list) => Array.isArray(list) && list.every(certificate),
    upstreams: (list) => Array.isArray(list) && list.every(upstreamStatus),
    routes: (list) => Array.isArray(list) && list.every(routeStatus),
    workers: (list) =>
      Array.isArray(list) && list.length <= listMax && list.every((share) => workerShare(share)),
  });

const fromWorkerShapes: Record<FromWorker['type'], Shape> = {
  started: {},
  ready: { sockets: socketPaths, protocol, app: text, retireAfter: count },
  'boot-failed': { exitCode: bootExit, reason: text },
  heartbeat: { inFlight: count, served: count, rssBytes: count },
  stuck: { silentMs: count, stack: text },
  retire: { reason: text },
};

const fromEdgeShapes: Record<FromEdge['type'], Shape> = {
  started: {},
  ready: {},
  refused: { reason: text },
  heartbeat: {},
  withdrawn: { workerId: count },
  spent: { workerId: count, served: count },
  purged: { askId: count, responses: count },
  status: { askId: count, status: edgeStatus },
};

const toEdgeShapes: Record<ToEdge['type'], Shape> = {
  configure: { config: object, tls: object },
  certificates: { tls: object },
  listen: { key: text, address: object },
  'ticket-keys': { keys: Array.isArray },
  unlisten: { key: text },
  admit: { worker: object },
  withdraw: { workerId: count },
  gone: { workerId: count },
  drain: { deadlineMs: count },
  'no-workers': {},
  'reopen-logs': {},
  purge: { askId: count, what: object },
  report: { askId: count },
};

const toWorkerShapes: Record<ToWorker['type'], Shape> = {
  configure: { config: object, assignment: object },
  drain: { deadlineMs: count },
  'reopen-logs': {},
};

/** The message, with just the fields it should have, or null when it is none. */
export const checkFromWorker = (value: unknown): FromWorker | null =>
  check<FromWorker>(value, fromWorkerShapes);
export const checkFromEdge = (value: unknown): FromEdge | null =>
  check<FromEdge>(value, fromEdgeShapes);
export const checkToEdge = (value: unknown): ToEdge | null => check<ToEdge>(value, toEdgeShapes);
export const checkToWorker = (value: unknown): ToWorker | null =>
  check<ToWorker>(value, toWorkerShapes);

function check<M extends { readonly type: string }>(
  value: unknown,
  shapes: Record<M['type'], Shape>,
): M | null {
  if (typeof value !== 'object' || value === null) return null;
  const { type } = value as { type?: unknown };
  // Object.hasOwn: "constructor" and "__proto__" are no kinds of message.
  if (typeof type !== 'string' || !Object.hasOwn(shapes, type)) return null;
  const shape = shapes[type as M['type']];
  if (!fits(value, shape)) return null;
  const message: Record<string, unknown> = { type };
  for (const key of Object.keys(shape)) {
    const field = (value as Record<string, unknown>)[key];
    message[key] = typeof field === 'string' ? field.slice(0, textCharsMax) : field;
  }
  return message as unknown as M;
}

function fits(value: unknown, shape: Shape): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(shape).every(([key, isRight]) =>
    isRight((value as Record<string, unknown>)[key]),
  );
}
