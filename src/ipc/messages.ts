// Every message between the arbiter and its children. One union each way; behind each kind: who
// sends it, and when. ipc/channel.ts carries them (the edge: Node's IPC channel, for the sockets
// that travel on it; the worker: a channel of its own) and checks what arrives.

import type { LoadedPair } from '../certificates/load.ts';
import type { BindAddress, Config } from '../config/config.ts';

/** One worker process of one generation. `id` is never used again in an arbiter's life. */
export interface WorkerAddress {
  readonly id: number;
  /** 1 … workers: stable, a replacement takes the slot of the one it replaces. */
  readonly slot: number;
  readonly pid: number;
  /** Name of the app it serves; of the settings' own, "app". */
  readonly app: string;
  /** What its sockets speak: the link, or HTTP/1.1. */
  readonly protocol: WorkerProtocol;
  /** Absolute paths of Unix sockets: one, or one a thread. A program that was given a port: "127.0.0.1:PORT". */
  readonly sockets: readonly string[];
  /** Requests each socket may have in flight at a time. */
  readonly capacity: number;
  /** A program, whose end may cut what is in flight: the edge says 'withdrawn' when nothing is. */
  readonly leavesWhenIdle: boolean;
  /** Requests after which the edge says 'spent'; 0 = never: the worker counts them itself. */
  readonly retireAfter: number;
}

/** 'http-kept': HTTP/1.1 by a program that works on one request at a time, takes them from connections it keeps in the
 *  order they came, and begins on none whose connection was closed. */
export type WorkerProtocol = 'link' | 'http' | 'http-kept';

export type ToEdge =
  /** First message, and again at each reload: the settings to work by from now on. The first is
   *  followed at once by one 'listen' for each of config.bind. Answered by 'ready' or 'refused'. */
  | { readonly type: 'configure'; readonly config: Config; readonly tls: TlsFiles }
  /** A file of a certificate has changed: what all of them hold from now on. */
  | { readonly type: 'certificates'; readonly tls: TlsFiles }
  /** Comes with the handle of a bound socket: accept on it. */
  | { readonly type: 'listen'; readonly key: string; readonly address: BindAddress }
  /** What session tickets are made by, the current key first: 48 bytes each in base64. Before 'configure',
   *  where there are https:// binds, and at each change. */
  | { readonly type: 'ticket-keys'; readonly keys: readonly string[] }
  /** Stop accepting on the socket; connections that are open go on. */
  | { readonly type: 'unlisten'; readonly key: string }
  /** The worker is ready: send requests to it. */
  | { readonly type: 'admit'; readonly worker: WorkerAddress }
  /** Send nothing more to the worker; answered by 'withdrawn' when that holds. */
  | { readonly type: 'withdraw'; readonly workerId: number }
  /** The worker's process is gone, wanted or not: 'withdraw' with no answer. */
  | { readonly type: 'gone'; readonly workerId: number }
  /** Stop accepting, finish what is open, then leave with exit code 0. `deadlineMs` is a duration
   *  from the receipt; 0 = leave now. */
  | { readonly type: 'drain'; readonly deadlineMs: number }
  /** While everything stops, to an edge that drains: no worker serves any more, and none will. */
  | { readonly type: 'no-workers' }
  /** Open the log files anew (USR1). */
  | { readonly type: 'reopen-logs' }
  /** Forget stored responses; answered by 'purged'. */
  | { readonly type: 'purge'; readonly askId: number; readonly what: Purge }
  /** Answer with 'status'. */
  | { readonly type: 'report'; readonly askId: number };

/** What is in the files of certificates and keys, which the arbiter alone reads: the edge may run as a
 *  user who can't. Those of former settings may be among them. */
export interface TlsFiles {
  /** `cert` and `key` are the paths in the settings. */
  readonly pairs: readonly (LoadedPair & { readonly cert: string; readonly key: string | null })[];
  readonly clientCas: readonly { readonly path: string; readonly pem: string }[];
}

export type FromEdge =
  /** The process runs and has its handlers in: 'configure' may be sent. */
  | { readonly type: 'started' }
  /** Configured and able to take requests: once after the first 'configure' and its 'listen's,
   *  and once after each later 'configure'. */
  | { readonly type: 'ready' }
  /** The settings could not be put to work, the former ones stay in force; or a 'listen' failed. */
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'heartbeat' }
  | { readonly type: 'withdrawn'; readonly workerId: number }
  /** The worker has had its share of retireAfter from this edge. May come again. */
  | { readonly type: 'spent'; readonly workerId: number; readonly served: number }
  | { readonly type: 'purged'; readonly askId: number; readonly responses: number }
  | { readonly type: 'status'; readonly askId: number; readonly status: EdgeStatus };

export type ToWorker =
  /** First message: what to load and where to listen. */
  | { readonly type: 'configure'; readonly config: Config; readonly assignment: WorkerAssignment }
  /** Finish what is in flight, then leave with exit code 0. `deadlineMs` is a duration from the
   *  receipt; 0 = leave now. */
  | { readonly type: 'drain'; readonly deadlineMs: number }
  | { readonly type: 'reopen-logs' };

export interface WorkerAssignment {
  readonly id: number;
  /** Name of the app. */
  readonly app: string;
  readonly slot: number;
  /** Absolute path without ending; the worker listens on `${socketBase}.sock` (threads: `-1.sock` …). */
  readonly socketBase: string;
  /** Requests after which the worker asks to be retired; 0 = never. Jitter is already in it. */
  readonly maxRequests: number;
}

export type FromWorker =
  | { readonly type: 'started' }
  /** The last thing said at boot: app loaded, sockets listening. */
  | {
      readonly type: 'ready';
      readonly sockets: readonly string[];
      readonly protocol: WorkerProtocol;
      /** What the app is, for the log. */
      readonly app: string;
      /** Of WorkerAddress. */
      readonly retireAfter: number;
    }
  /** The app can't be loaded or the worker can't serve it; the process leaves with `exitCode` (3 or 4). */
  | { readonly type: 'boot-failed'; readonly exitCode: 3 | 4; readonly reason: string }
  /** Sent while the event loop (each thread's) turns; several times in each timeout. */
  | {
      readonly type: 'heartbeat';
      /** null = it can't count them: the edges know. */
      readonly inFlight: number | null;
      readonly served: number | null;
      readonly rssBytes: number;
    }
  /** The event loop has not turned for so long. `stack`: the frames it is in, one
   *  line each; '' where that is native code. Sent by a thread beside it. */
  | { readonly type: 'stuck'; readonly silentMs: number; readonly stack: string }
  /** maxRequests is reached: replace me. */
  | { readonly type: 'retire'; readonly reason: string };

/** Which stored responses to forget: those of a URL ("https://example.com/path?query", or a path for
 *  all hosts), those with a tag, or all. */
export type Purge =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'all' };

/** The response cache of one edge. */
export interface CacheStats {
  /** Requests answered from memory, and requests that had to ask the app. */
  readonly hits: number;
  readonly misses: number;
  readonly entries: number;
  readonly bytes: number;
}

/** A certificate an edge serves. */
export interface CertificateSummary {
  /** "files", "acme", "dev". */
  readonly source: string;
  /** Names it is served for. */
  readonly names: readonly string[];
  /** null = in no file that somebody wrote by hand. */
  readonly file: string | null;
  readonly issuer: string;
  /** "RSA 2048", "ECDSA P-256". */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** null = its handshakes have no OCSP response, and want none. */
  readonly staple: StapleStatus | null;
}

/** The OCSP response of a certificate. */
export interface StapleStatus {
  /** Served until then, in ms since 1970; null = there is none to serve. */
  readonly untilMs: number | null;
  /** Why the last attempt to get one failed; null = it did not. */
  readonly problem: string | null;
}

/** A name whose certificate is had by ACME. Times in ms since 1970. */
export interface AcmeNameStatus {
  readonly host: string;
  /** waiting: another instance that shares the directory is getting it. */
  readonly phase: 'idle' | 'waiting' | 'obtaining';
  /** null = there is none yet. */
  readonly notAfterMs: number | null;
  /** When the next certificate is to be had. */
  readonly nextTryMs: number;
  /** In a row. */
  readonly failures: number;
  readonly lastError: string | null;
}

/** Why a handshake failed: it took too long; HTTP without TLS; other bytes; a name without certificate;
 *  too many under way; the client left; what OpenSSL found wrong. */
export type HandshakeFailure =
  | 'timeout'
  | 'http'
  | 'garbage'
  | 'name'
  | 'crowd'
  | 'left'
  | 'protocol';

/** The TLS handshakes of one edge. */
export interface TlsStatus {
  readonly underWay: number;
  readonly full: number;
  /** By a session ticket. */
  readonly resumed: number;
  readonly failures: Readonly<Record<HandshakeFailure, number>>;
}

/** An HTTP upstream as one edge sees it. */
export interface UpstreamStatus {
  /** Its targets. */
  readonly name: string;
  readonly queued: number;
  readonly members: readonly {
    /** "10.0.0.5:8000", "unix:/run/x.sock". */
    readonly address: string;
    /** down: it can't be reached; unwell: its health check says so, or has not yet said otherwise; left:
     *  it failed too many requests; trial: after that, one request at a time. */
    readonly state: 'up' | 'down' | 'unwell' | 'left' | 'trial';
    readonly weight: number;
    readonly inFlight: number;
    readonly served: number;
    /** Requests that failed on it. */
    readonly failures: number;
    readonly lastFailure: string | null;
  }[];
}

export interface RouteStatus {
  readonly name: string;
  readonly requests: number;
  /** Of these, by `allow`, `deny`, `cors` or `auth`. */
  readonly refused: number;
}

export interface EdgeStatus {
  readonly pid: number;
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly requestsServed: number;
  readonly queued: number;
  readonly rssBytes: number;
  /** null = there is none. */
  readonly cache: CacheStats | null;
  /** null = no bind is https://. */
  readonly tls: TlsStatus | null;
  /** null = ACME is off. */
  readonly acme: readonly AcmeNameStatus[] | null;
  /** The default first. */
  readonly certificates: readonly CertificateSummary[];
  readonly upstreams: readonly UpstreamStatus[];
  /** In their order, with what they took since these settings are in force. */
  readonly routes: readonly RouteStatus[];
  /** In flight by worker id. */
  readonly workers: readonly {
    readonly id: number;
    readonly inFlight: number;
    /** Connections that were upgraded to another protocol. */
    readonly upgraded: number;
    readonly served: number;
  }[];
}
