// The worker's end of the link: makes an exchange of each request that an edge sends over one socket.

import type { Socket } from 'node:net';
import { type Failure, failure } from '../errors/failure.ts';
import type { Fields, Handle } from '../http/exchange.ts';
import { Decoder, type FrameSink } from './decoder.ts';
import type { LinkRequest } from './link.ts';
import { Outbox } from './outbox.ts';
import { decodePreface, encodePreface } from './preface.ts';
import * as wire from './protocol.ts';
import { type LinkLog, throwLater } from './shared.ts';
import { type ExchangeOwner, WorkerExchange } from './worker-exchange.ts';

export interface AcceptOptions {
  /** Called for each request, once, inside the socket's own event. */
  readonly handle: Handle;
  /** The link is gone: null when the edge closed it with nothing in flight. Exactly once, after
   *  every exchange heard its end. */
  onClose(reason: Failure | null): void;
  readonly log?: LinkLog;
  /** Bytes of the socket that were already read, to see whether it is a link. */
  readonly initial?: Buffer;
  /** Request content taken ahead on each stream. */
  readonly windowBytes?: number;
  /** Requests taken at a time; one more breaks the protocol. */
  readonly streamsMax?: number;
}

export interface WorkerLink {
  /** Exchanges that have not heard their end. */
  readonly inFlight: number;
  /** Takes no new requests; the edge closes the link when nothing is in flight. */
  drain(): void;
  /** Ends now; what is in flight hears CLIENT_LEFT. */
  destroy(): void;
}

/** Speaks the link on a connection from an edge. */
export function acceptLink(socket: Socket, options: AcceptOptions): WorkerLink {
  return new WorkerEnd(socket, options);
}

class WorkerEnd implements WorkerLink, ExchangeOwner, FrameSink {
  readonly outbox: Outbox;
  readonly windowBytes: number;
  inFlight = 0;
  private phase: 'preface' | 'up' | 'down' = 'preface';
  private isDraining = false;
  private readonly options: AcceptOptions;
  private readonly socket: Socket;
  private readonly decoder: Decoder = new Decoder(this);
  private readonly prefaceTimer: NodeJS.Timeout;
  private readonly streamsMax: number;
  private prefaceBytes: Buffer = Buffer.alloc(0);
  private peerWindowBytes = 0;
  /** One clock reading serves all requests that came in one piece. */
  private nowMs = 0;
  /** Index is the stream id. */
  private readonly slots: (WorkerExchange | null)[] = [null];
  private settling: WorkerExchange[] = [];

  constructor(socket: Socket, options: AcceptOptions) {
    this.socket = socket;
    this.options = options;
    this.windowBytes = options.windowBytes ?? wire.WINDOW_BYTES;
    this.streamsMax = options.streamsMax ?? wire.STREAMS_MAX;
    this.outbox = new Outbox(socket, () => this.settleAll());
    this.prefaceTimer = setTimeout(() => {
      this.onBroken(`no preface from the edge in ${wire.PREFACE_TIMEOUT_MS} ms`);
    }, wire.PREFACE_TIMEOUT_MS);
    const { initial } = options;
    // Before 'data' is listened to, so that these bytes come first.
    if (initial !== undefined) process.nextTick(() => this.received(initial));
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('error', (error) => this.die(failure('CLIENT_LEFT', error.message, error)));
    // A server that allows half-open sockets leaves this to us.
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      const isIdle = this.inFlight === 0;
      this.die(isIdle ? null : failure('CLIENT_LEFT', 'the edge closed the link'));
    });
  }

  drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    if (this.phase === 'up') this.putDrain();
  }

  destroy(): void {
    this.die(failure('CLIENT_LEFT', 'the worker closed the link'));
  }

  release(id: number): void {
    this.slots[id] = null;
  }

  settleLater(exchange: WorkerExchange): void {
    this.settling.push(exchange);
  }

  settled(): void {
    this.inFlight -= 1;
  }

  private received(chunk: Buffer): void {
    if (this.phase === 'down') return;
    this.nowMs = performance.now();
    if (this.phase === 'up') this.decoder.push(chunk);
    else this.readPreface(chunk);
  }

  private readPreface(chunk: Buffer): void {
    this.prefaceBytes = Buffer.concat([this.prefaceBytes, chunk]);
    const result = decodePreface(this.prefaceBytes, 'worker');
    if (result.kind === 'partial') return;
    // Sent also when the edge's own is not understood, so that the edge can say what both speak.
    this.socket.write(
      encodePreface({
        version: wire.LINK_VERSION,
        windowBytes: this.windowBytes,
        streamsMax: this.streamsMax,
      }),
    );
    if (result.kind === 'broken') {
      this.onBroken(result.detail);
      return;
    }
    clearTimeout(this.prefaceTimer);
    this.phase = 'up';
    this.peerWindowBytes = result.preface.windowBytes;
    this.outbox.open();
    if (this.isDraining) this.putDrain();
    const rest = this.prefaceBytes.subarray(wire.PREFACE_BYTES);
    this.prefaceBytes = rest.subarray(0, 0);
    if (rest.length > 0) this.decoder.push(rest);
  }

  private putDrain(): void {
    this.outbox.encoder.drain();
    this.outbox.schedule();
  }

  private settleAll(): void {
    if (this.settling.length === 0) return;
    const settling = this.settling;
    this.settling = [];
    for (const exchange of settling) exchange.settle();
  }

  private die(reason: Failure | null): void {
    if (this.phase === 'down') return;
    // A preface that the edge will not like still goes out: it says what we speak.
    if (this.phase === 'preface') this.socket.destroySoon();
    else this.socket.destroy();
    this.phase = 'down';
    clearTimeout(this.prefaceTimer);
    this.decoder.stop();
    this.outbox.close();
    const left = reason ?? failure('CLIENT_LEFT', 'the edge closed the link');
    const exchanges = this.settling;
    for (const exchange of this.slots) if (exchange !== null) exchanges.push(exchange);
    this.settling = [];
    this.slots.length = 1;
    for (const exchange of exchanges) exchange.linkDied(left);
    this.options.onClose(reason);
  }

  // Frames.

  onRequest(id: number, open: LinkRequest, end: boolean): void {
    if (id > this.streamsMax) {
      this.onBroken(`REQUEST on stream ${id}, beyond the limit`);
      return;
    }
    while (this.slots.length <= id) this.slots.push(null);
    if (this.slots[id] !== null) {
      this.onBroken(`REQUEST on stream ${id}, which is in use`);
      return;
    }
    const exchange = new WorkerExchange(this, id, open, end, this.peerWindowBytes, this.nowMs);
    this.slots[id] = exchange;
    this.inFlight += 1;
    if (this.isDraining) {
      exchange.refuse(failure('SHUTTING_DOWN'));
      return;
    }
    try {
      this.options.handle(exchange);
    } catch (error) {
      exchange.fail(failure('WORKER_RESET', 'the handler threw', error));
      throw error;
    }
  }

  onData(id: number, chunk: Uint8Array, end: boolean): void {
    const exchange = this.slots[id];
    this.check(exchange ? exchange.gotData(chunk, end) : 'DATA', id);
  }

  onEnd(id: number, trailers: Fields): void {
    const exchange = this.slots[id];
    this.check(exchange ? exchange.gotEnd(trailers) : 'END', id);
  }

  // A RESET or CREDIT may have crossed the end of its stream on the way: those come late, rightly.

  onReset(id: number, _code: string, _detail: string, refused: boolean): void {
    if (id >= this.slots.length || refused) this.check('RESET', id);
    else this.slots[id]?.gotReset();
  }

  onCredit(id: number, bytes: number): void {
    if (id >= this.slots.length) {
      this.check('CREDIT', id);
      return;
    }
    const exchange = this.slots[id];
    if (exchange) this.check(exchange.gotCredit(bytes, this.peerWindowBytes), id);
  }

  onPing(value: Uint8Array): void {
    this.outbox.pong(value);
  }

  onPong(): void {}

  onResponse(id: number): void {
    this.check('RESPONSE', id);
  }

  onInform(id: number): void {
    this.check('INFORM', id);
  }

  onDrain(): void {
    this.check('DRAIN', 0);
  }

  onBroken(detail: string): void {
    this.options.log?.warning('link to an edge broken', { detail });
    this.die(failure('LINK_PROTOCOL', detail));
  }

  onThrown(error: unknown): void {
    throwLater(error);
  }

  private check(broken: string | null, id: number): void {
    if (broken !== null) this.onBroken(`${broken} on stream ${id}`);
  }
}
