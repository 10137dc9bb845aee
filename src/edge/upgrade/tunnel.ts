// One connection that speaks another protocol now: two sockets piped into each other, what is known of them,
// and their end.
//
//   open ──closePolitely()──▶ closing ──the client's Close, or its time is up──▶ over
//     └──────── either socket closes, cut() ────────────────────────────────────┘

import type { Socket } from 'node:net';
import { type Failure, failure } from '../../errors/failure.ts';
import type { ExchangeRecord } from '../../http/exchange.ts';
import type { Backend } from '../balancer/backend.ts';
import { FrameFollower, GOING_AWAY } from './frames.ts';

/** For the client's answer to a Close, and for the rest of a frame that is under way before it. */
const FAREWELL_MS = 1_000;
/** After the worker's process has ended: the kernel delivers what it wrote, then the end. */
const LAST_BYTES_MS = 1_000;
/** Both ends vanish without a word now and then (a phone in a tunnel): the kernel asks after so long. */
const PROBE_AFTER_MS = 60_000;

export interface TunnelOptions {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly backend: Backend;
  readonly record: ExchangeRecord;
  /** Frames can be told apart. */
  readonly isWebSocket: boolean;
  /** Bytes after the answer's head that came with it. */
  readonly headBytes: number;
  /** Ends the client's connection with a reset, or what its protocol has for that. */
  readonly reset: (reason: Failure) => void;
  /** Both sockets are closed. */
  readonly onOver: (tunnel: Tunnel) => void;
}

export class Tunnel {
  readonly backend: Backend;
  private readonly client: Socket;
  private readonly upstream: Socket;
  private readonly options: TunnelOptions;
  private readonly frames: FrameFollower | null;
  private readonly readBefore: number;
  private readonly writtenBefore: number;
  private closing = false;
  private open = 2;
  private timer: NodeJS.Timeout | null = null;
  // For the sweep.
  private moved = 0;
  private movedMs = performance.now();
  private waiting = 0;
  private waitingMs = 0;

  constructor(options: TunnelOptions) {
    const { client, upstream } = options;
    this.options = options;
    this.backend = options.backend;
    this.client = client;
    this.upstream = upstream;
    this.readBefore = upstream.bytesRead - options.headBytes;
    this.writtenBefore = upstream.bytesWritten;
    this.frames = options.isWebSocket ? new FrameFollower() : null;
    client.on('close', (hadError: boolean) => this.onClientClosed(hadError));
    upstream.on('close', (hadError: boolean) => this.onUpstreamClosed(hadError));
  }

  /** In the turn in which the sockets were joined: bytes move from the next on. Who listened before would
   *  be given what came with the answer, in place of the pipe. */
  joined(): void {
    const { frames, upstream } = this;
    if (frames !== null) upstream.on('data', (bytes: Buffer) => frames.follow(bytes));
    this.client.setKeepAlive(true, PROBE_AFTER_MS);
  }

  /** The client learns that it is to connect anew; the app, by the client's answer, that it has left. */
  closePolitely(reason: Failure | null): void {
    if (this.closing || this.open < 2) return;
    this.closing = true;
    if (reason !== null) this.options.record.failure ??= reason;
    this.later(FAREWELL_MS, () => this.cut(null));
    if (this.frames === null || this.frames.closed) this.endClient(false);
    else if (this.frames.isBetween) this.endClient(true);
    else this.upstream.on('data', () => this.frames!.isBetween && this.endClient(true));
  }

  private endClient(withClose: boolean): void {
    const { client, upstream } = this;
    upstream.unpipe(client);
    // What still comes has nowhere to go.
    upstream.resume();
    if (!client.writable) return;
    if (withClose && !this.frames!.closed) client.write(GOING_AWAY);
    client.end();
  }

  /** Ends both sockets now. */
  cut(reason: Failure | null): void {
    if (reason !== null) this.options.record.failure ??= reason;
    this.client.destroy();
    this.upstream.destroy();
  }

  /** The worker's process has ended. */
  workerGone(): void {
    const died = (): void => this.fail(failure('WORKER_DIED', 'its process ended'));
    if (this.upstream.readableEnded) died();
    else {
      this.upstream.once('end', died);
      this.later(LAST_BYTES_MS, died);
    }
  }

  private fail(reason: Failure): void {
    if (this.client.destroyed) return;
    this.closing = true;
    this.options.record.failure ??= reason;
    this.client.destroySoon();
    this.upstream.destroy();
  }

  private onClientClosed(hadError: boolean): void {
    this.count();
    // What it said before it went still gets to the app.
    if (!hadError && this.client.readableEnded) this.upstream.destroySoon();
    else this.upstream.destroy();
    this.oneClosed();
  }

  private onUpstreamClosed(hadError: boolean): void {
    this.count();
    if (!this.client.destroyed) {
      const isReset = hadError && !this.upstream.readableEnded && !this.closing;
      if (isReset)
        this.options.reset(failure('WORKER_RESET', 'the connection to the app was reset'));
      else this.client.destroySoon();
    }
    this.oneClosed();
  }

  private oneClosed(): void {
    this.open--;
    if (this.open > 0) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.options.onOver(this);
  }

  /** Puts the bytes so far into the record. */
  count(): void {
    const { record } = this.options;
    record.requestBytes = this.upstream.bytesWritten - this.writtenBefore;
    record.responseBytes = this.upstream.bytesRead - this.readBefore;
  }

  /** Ends what is idle, or takes nothing. Called now and then. */
  sweep(nowMs: number, limits: { readonly idleMs: number; readonly sendMs: number }): void {
    const { client, upstream } = this;
    const moved = upstream.bytesRead + upstream.bytesWritten;
    const waiting = client.writableLength + kernelQueue(client);
    if (moved !== this.moved) {
      this.moved = moved;
      this.movedMs = nowMs;
    } else if (limits.idleMs > 0 && nowMs - this.movedMs >= limits.idleMs) {
      this.closePolitely(failure('UPGRADE_IDLE'));
    }
    if (waiting !== this.waiting || waiting === 0) {
      this.waiting = waiting;
      this.waitingMs = nowMs;
    } else if (nowMs - this.waitingMs >= limits.sendMs) this.cut(failure('SEND_TIMEOUT'));
  }

  private later(ms: number, act: () => void): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(act, ms);
  }
}

/** What libuv still has of the write in progress. */
function kernelQueue(socket: object): number {
  const { _handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return _handle?.writeQueueSize ?? 0;
}
