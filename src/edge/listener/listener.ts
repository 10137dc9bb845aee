// Accepts connections on the public sockets, keeps watch over them, and ends them in good order.

import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { BindAddress } from '../../config/config.ts';
import { failure } from '../../errors/failure.ts';
import type { Handle, TlsFacts } from '../../http/exchange.ts';
import type { TlsStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import type { SettledExchange } from '../settled-exchange.ts';
import { Handshakes, type Takers, type TlsDeps } from '../tls/handshakes.ts';
import { Http1Connection } from './http1-connection.ts';
import { AbuseLog } from './http2/abuse-log.ts';
import type { Http2Abuse, Http2Connection } from './http2/connection.ts';
import { serveHttp2, servePeeking } from './http2/serve.ts';
import type { ConnectionOptions, Hub } from './hub.ts';
import { ParserPool } from './parser-pool.ts';
import { Preambles } from './preambles.ts';
import { listenTo, type MakeConnection, serveSocket, takeSocket } from './socket-reads.ts';
import { sweep } from './sweep.ts';

export type ListenerOptions = ConnectionOptions;

/** Deadlines are kept this exactly, or rather inexactly: looking at 10,000 connections takes 0.1 ms. */
const SWEEP_MS = 500;
/** A connection accepted just before a drain has its first request on the way: so long it may take. */
const FRESH_GRACE_MS = 1_000;

export interface ListenerDeps {
  readonly handle: Handle;
  /** Read anew for each request: a reload changes them live. */
  readonly options: () => ListenerOptions;
  /** Once for each exchange, when its record is complete; also for requests that were refused
   *  before `handle` could see them. */
  readonly onSettled: (exchange: SettledExchange) => void;
  /** A load balancer's connection began with no PROXY protocol that can be read. */
  readonly onPreambleRefused: (address: string, why: string) => void;
  /** For the https:// binds; null = there are none. */
  readonly tls: TlsDeps | null;
  readonly log: Log;
  readonly sweepMs?: number;
}

export interface Listener {
  /** Accepts on a bound handle that was passed on, or on `{ fd }`. */
  listen(key: string, handle: unknown, address: BindAddress, backlog: number): Promise<void>;
  /** Stops accepting there; open connections go on. Other holders of the socket are not touched. */
  unlisten(key: string): Promise<void>;
  /** Handshakes under way among them. */
  readonly connections: number;
  /** null = no bind was https:// so far. */
  readonly tls: TlsStatus | null;
  readonly requestsInFlight: number;
  /** Stops accepting, answers what is open with Connection: close or GOAWAY and closes what is idle; resolves
   *  when nothing is open. What is open after `deadlineMs` from now is cut. A second call may
   *  bring the deadline nearer. */
  drain(deadlineMs: number): Promise<void>;
}

class ListenerHub implements Hub {
  readonly handle: Handle;
  readonly parsers = new ParserPool();
  readonly log: Log;
  readonly sweepMs: number;
  readonly options: () => ListenerOptions;
  readonly onSettled: (exchange: SettledExchange) => void;
  readonly preambles: Preambles;
  readonly open = new Set<Http1Connection>();
  readonly http2 = new Set<Http2Connection>();
  /** Made with the first https:// bind. */
  handshakes: Handshakes | null = null;
  isDraining = false;
  coarseNowMs = performance.now();
  requestsInFlight = 0;
  tunnels = 0;
  /** Called when the last connection has closed. */
  readonly onEmpty: (() => void)[] = [];

  private dirty: Http1Connection[] = [];
  private timer: NodeJS.Timeout | null = null;
  private readonly abuseLog: AbuseLog;

  constructor(deps: ListenerDeps) {
    this.handle = deps.handle;
    this.options = deps.options;
    this.onSettled = deps.onSettled;
    this.log = deps.log;
    this.sweepMs = deps.sweepMs ?? SWEEP_MS;
    this.abuseLog = new AbuseLog(deps.log);
    this.preambles = new Preambles(deps.onPreambleRefused, () => this.tellIfEmpty());
  }

  add(connection: Http1Connection): void {
    this.open.add(connection);
    // Out of a handshake that the drain let finish.
    if (this.isDraining) connection.deadlineMs = performance.now() + FRESH_GRACE_MS;
    this.watch();
  }

  addHttp2(connection: Http2Connection): void {
    this.http2.add(connection);
    this.watch();
    if (this.isDraining) connection.leave();
  }

  private watch(): void {
    if (this.timer !== null) return;
    this.coarseNowMs = performance.now();
    this.timer = setInterval(this.sweepAll, this.sweepMs);
    this.timer.unref();
  }

  onClosed(connection: Http1Connection): void {
    this.open.delete(connection);
    this.onFewer();
  }

  onHttp2Closed(connection: Http2Connection): void {
    this.http2.delete(connection);
    this.onFewer();
  }

  noteAbuse(kind: Http2Abuse, detail: string, address: string): void {
    this.abuseLog.note(kind, detail, address, this.coarseNowMs);
  }

  get size(): number {
    return this.open.size + this.http2.size;
  }

  private onFewer(): void {
    if (this.size > 0) return;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.tellIfEmpty();
  }

  get isEmpty(): boolean {
    return this.size + this.preambles.size + (this.handshakes?.size ?? 0) === 0;
  }

  tellIfEmpty(): void {
    if (this.isEmpty) for (const tell of this.onEmpty.splice(0)) tell();
  }

  flushSoon(connection: Http1Connection): void {
    // At the end of the turn, when all that the link brought in this turn has been handed out.
    if (this.dirty.length === 0) setImmediate(this.flushDirty);
    this.dirty.push(connection);
  }

  private readonly flushDirty = (): void => {
    const { dirty } = this;
    this.dirty = [];
    for (const connection of dirty) {
      connection.isDirty = false;
      connection.flush();
    }
  };

  private readonly sweepAll = (): void => {
    this.coarseNowMs = performance.now();
    const options = this.options();
    for (const connection of this.open) sweep(connection, this.coarseNowMs, options);
    for (const connection of this.http2) connection.sweep(this.coarseNowMs, options);
  };
}

export function createListener(deps: ListenerDeps): Listener {
  const hub = new ListenerHub(deps);
  const servers = new Map<string, Server>();

  const unlisten = (key: string): Promise<void> => {
    const server = servers.get(key);
    servers.delete(key);
    if (server !== undefined) server.close();
    return Promise.resolve();
  };

  return {
    listen(key, handle, address, backlog) {
      // Paused: the first read must go to takeSocket's buffer.
      const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
      server.on('connection', acceptor(hub, deps, address));
      servers.set(key, server);
      return listening(server, handle, backlog).then(() => {
        server.on('error', (error) => deps.log.error('cannot accept', { address, error }));
      });
    },
    unlisten,
    get connections() {
      return hub.size + hub.preambles.size + (hub.handshakes?.size ?? 0);
    },
    get tls() {
      return hub.handshakes?.status() ?? null;
    },
    get requestsInFlight() {
      return hub.requestsInFlight - hub.tunnels;
    },
    async drain(deadlineMs) {
      for (const key of [...servers.keys()]) await unlisten(key);
      await drain(hub, deadlineMs);
    },
  };
}

type Accept = (accepted: Socket) => void;

/** Who takes the connections of a bind. A load balancer's preamble is read first, where one is expected. */
function acceptor(hub: ListenerHub, deps: ListenerDeps, address: BindAddress): Accept {
  const isUnix = address.kind === 'unix';
  const accept = address.tls ? acceptTls(hub, deps) : acceptPlain(hub, isUnix, false);
  const acceptRead = address.tls ? accept : acceptPlain(hub, isUnix, true);
  const { preambles } = hub;
  return (accepted) => {
    const { preamble } = hub.options();
    const isExpected = preamble !== null && preambles.isExpected(accepted, isUnix, preamble);
    if (preamble === null || isExpected === false) accept(accepted);
    else if (isExpected) preambles.read(accepted, preamble, acceptRead);
    else accepted.on('error', () => {}).destroy();
  };
}

/** `isRead`: something was read of the sockets already. */
function acceptPlain(hub: ListenerHub, isUnix: boolean, isRead: boolean): Accept {
  const make: MakeConnection = (socket, polled) =>
    new Http1Connection(hub, { socket, tls: null, isUnix, polled });
  return (accepted) => {
    if (hub.options().h2c) {
      servePeeking(hub, accepted, isUnix);
      return;
    }
    // The handle of one of which something was read can't move on.
    const connection = isRead ? serveSocket(accepted, make) : takeSocket(accepted, make);
    if (connection !== null) hub.add(connection);
  };
}

function acceptTls(hub: ListenerHub, deps: ListenerDeps): Accept {
  if (deps.tls === null) throw new Error('an https:// bind without certificates');
  hub.handshakes ??= new Handshakes(deps.tls, takersOf(hub));
  const { handshakes } = hub;
  return (accepted) => handshakes.begin(accepted);
}

const noBytes = Buffer.alloc(0);

/** Who serves the connections that come out of handshakes. */
function takersOf(hub: ListenerHub): Takers {
  return {
    http1(socket: TLSSocket, tls: TlsFacts) {
      const on = { socket, tls, isUnix: false, polled: null };
      const connection = new Http1Connection(hub, on);
      listenTo(socket, connection);
      hub.add(connection);
      return (bytes) => connection.onBytes(bytes, true);
    },
    http2: (socket, tls) => serveHttp2(hub, socket, tls),
    plainHttp(socket) {
      const on = { socket, tls: null, isUnix: false, polled: null };
      const connection = serveSocket(socket, () => new Http1Connection(hub, on));
      hub.add(connection);
      // It learns who the client is with its first bytes; what those were does not matter.
      connection.onBytes(noBytes, false);
      if (connection.facts !== null) connection.refuse(failure('TLS_EXPECTED'));
    },
    onEmpty: () => hub.tellIfEmpty(),
  };
}

function listening(server: Server, handle: unknown, backlog: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(handle, backlog, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function drain(hub: ListenerHub, deadlineMs: number): Promise<void> {
  hub.isDraining = true;
  // What the kernel has for us already is read first: a request sent before is answered.
  await new Promise((resolve) => setImmediate(resolve));
  for (const connection of hub.open) if (connection.phase === 'idle') connection.linger();
  for (const connection of hub.http2) connection.leave();
  if (hub.isEmpty) return;
  const timers = [
    setTimeout(
      () => {
        hub.preambles.endAll();
        hub.handshakes?.endIdle();
        for (const connection of hub.open) if (connection.phase === 'fresh') connection.linger();
      },
      Math.min(FRESH_GRACE_MS, deadlineMs),
    ),
    setTimeout(() => {
      hub.handshakes?.endAll();
      // What is no HTTP any more was told to leave, and its end is no failure.
      for (const connection of hub.open)
        if (connection.phase === 'tunnel') connection.socket.destroy();
        else connection.cut(failure('SHUTTING_DOWN'), false);
      for (const connection of hub.http2) connection.cut(failure('SHUTTING_DOWN'));
    }, deadlineMs),
  ];
  await new Promise<void>((resolve) => {
    hub.onEmpty.push(resolve);
  });
  for (const timer of timers) clearTimeout(timer);
}
