// One socket of one worker: its link, kept up while the worker is admitted, and what is in flight.

import { workerName } from '../../config/apps.ts';
import type { Failure } from '../../errors/failure.ts';
import { failure } from '../../errors/failure.ts';
import type { ClientFacts } from '../../http/exchange.ts';
import type { WorkerAddress } from '../../ipc/messages.ts';
import type { ConnectOptions } from '../../link/edge-end.ts';
import type { Link } from '../../link/link.ts';
import type { Log } from '../../telemetry/log.ts';
import type { HttpAddress } from '../upstream/dial.ts';
import { Line } from './line.ts';
import type { Weighted } from './weighted.ts';

/** Opens a link to a worker's socket: `connectWorker`, or a fake in tests. */
export type Connect = (options: ConnectOptions, worker: WorkerAddress) => Link;

/** What a pool sends requests to: a worker, or a member of an upstream. */
export interface PoolMember extends WorkerAddress {
  /** For records and logs; a worker is called by its slot. */
  readonly name?: string;
  /** Share of the requests; 1 for workers. */
  readonly weight?: number;
  /** How a connection that is to be upgraded is made; a worker's socket is its path. */
  readonly http?: HttpReach;
}

/** How an HTTP upstream is reached, by connections of one request each. */
export interface HttpReach {
  readonly address: HttpAddress;
  readonly connectTimeoutMs: number;
  /** In place of the client's Host; null = the client's. */
  readonly host: string | null;
  /** What is said first on a connection, about whose request it carries; null = nothing. */
  readonly preamble: ((client: ClientFacts | null) => string) | null;
}

export interface BackendOptions {
  readonly worker: PoolMember;
  readonly path: string;
  readonly connect: Connect;
  /** There may be room for a request that waits. */
  readonly onRoom: () => void;
  /** A request on it failed. */
  readonly onFailed: ((backend: Backend, reason: Failure) => void) | null;
  readonly log: Log;
}

// A worker that was admitted listens, so the first try succeeds; a link that drops while its
// worker lives is a fault, and the wait keeps a fault that repeats from becoming a busy loop.
const reconnectFirstMs = 20;
const reconnectMaxMs = 1000;
/** A link that was up for so long starts the waits anew. */
const provenMs = 1000;
/** The kernel delivers what a dead worker wrote, then the end. Only a process that inherited the
 *  worker's socket can hold the end back, and for so long at most. */
const lastBytesMs = 1000;

/** Life: connecting → up ⟲ (down → connecting) → withdrawn, from any. */
type Phase = 'connecting' | 'up' | 'down' | 'withdrawn';

export class Backend implements Weighted {
  readonly worker: PoolMember;
  readonly workerId: number;
  /** Of its Unix socket. */
  readonly path: string;
  /** Slot of the worker, and number of its thread: the same for the one that replaces it. */
  readonly place: string;
  capacity: number;
  weight: number;
  turn = 0;
  /** "worker 2", for records and logs. */
  readonly name: string;
  inFlight = 0;
  served = 0;
  /** Connections that speak another protocol now. They don't count as requests in flight. */
  upgraded = 0;
  takesRequests = false;
  link: Link;
  /** Of requests that wait in its socket; null = none may. */
  readonly line: Line | null;
  /** Somebody found it unwell: it gets no requests, whatever its link says. */
  private isHeld = false;

  private readonly options: BackendOptions;
  private phase: Phase = 'connecting';
  private waitMs = reconnectFirstMs;
  private upSinceMs = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(options: BackendOptions) {
    this.options = options;
    this.worker = options.worker;
    this.workerId = options.worker.id;
    this.path = options.path;
    const { slot, sockets } = options.worker;
    this.place = sockets.length > 1 ? `${slot}-${sockets.indexOf(options.path) + 1}` : String(slot);
    this.capacity = options.worker.capacity;
    this.weight = options.worker.weight ?? 1;
    this.line = options.worker.protocol === 'http-kept' ? new Line() : null;
    this.name = options.worker.name ?? workerName(options.worker.app, slot);
    this.link = this.connect();
  }

  /** A request on it failed. Streams hear of a dead link before onDown comes, and a link that the
   *  worker drains stays up: neither may get the retry. */
  failed(reason: Failure): void {
    if (!this.link.isUp || reason.code === 'SHUTTING_DOWN') this.takesRequests = false;
    this.options.onFailed?.(this, reason);
  }

  get isUp(): boolean {
    return this.phase === 'up';
  }

  /** No requests from now on, or requests again if its link is up. */
  hold(isHeld: boolean): void {
    if (this.isHeld === isHeld) return;
    this.isHeld = isHeld;
    this.takesRequests = this.phase === 'up' && !isHeld;
    if (this.takesRequests) this.options.onRoom();
  }

  /** Sends nothing more to it; what is in flight finishes, then the link ends. */
  withdraw(): void {
    if (this.phase === 'withdrawn') return;
    this.phase = 'withdrawn';
    this.takesRequests = false;
    this.clearTimer();
    this.link.drain();
  }

  /** The worker's process has ended. What it wrote before may still be on the way. */
  gone(): void {
    this.withdraw();
    this.clearTimer();
    this.timer = setTimeout(
      () => this.destroy(failure('WORKER_DIED', 'its process ended')),
      lastBytesMs,
    );
    this.timer.unref();
  }

  /** Ends the link now; what is in flight fails. */
  destroy(reason: Failure): void {
    this.withdraw();
    this.clearTimer();
    this.link.destroy(reason);
  }

  private connect(): Link {
    this.phase = 'connecting';
    // A link reports once it has been returned at the earliest, and an old one is never heard again.
    const { path, log, connect } = this.options;
    const onDown = (reason: Failure | null): void => {
      if (this.link === link) this.onDown(reason);
    };
    const link: Link = connect({ path, onUp: () => this.onUp(), onDown, log }, this.worker);
    return link;
  }

  private onUp(): void {
    if (this.phase !== 'connecting') return;
    this.phase = 'up';
    this.upSinceMs = performance.now();
    this.takesRequests = !this.isHeld;
    if (this.takesRequests) this.options.onRoom();
  }

  private onDown(reason: Failure | null): void {
    this.takesRequests = false;
    if (this.phase === 'withdrawn') {
      this.clearTimer();
      return;
    }
    if (this.phase === 'up' && performance.now() - this.upSinceMs >= provenMs)
      this.waitMs = reconnectFirstMs;
    this.phase = 'down';
    this.options.log.debug('link is down', {
      to: this.name,
      pid: this.worker.pid,
      reason: reason === null ? 'closed' : `${reason.code} ${reason.detail}`,
      nextTryMs: this.waitMs,
    });
    this.timer = setTimeout(() => {
      this.timer = null;
      this.link = this.connect();
    }, this.waitMs);
    this.waitMs = Math.min(this.waitMs * 2, reconnectMaxMs);
  }

  private clearTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
