// The edge's end of the link: opens streams to one worker and hears their answers.

import { connect, type Socket } from 'node:net';
import { type Failure, failure } from '../errors/failure.ts';
import type { Fields } from '../http/exchange.ts';
import { Decoder, type FrameSink } from './decoder.ts';
import { EdgeStream, type EdgeStreamOwner } from './edge-stream.ts';
import type { Link, LinkObserver, LinkRequest, LinkStream } from './link.ts';
import { Outbox } from './outbox.ts';
import { decodePreface, encodePreface } from './preface.ts';
import * as wire from './protocol.ts';
import { failureFromReset, type LinkLog, throwLater } from './shared.ts';

export interface ConnectOptions {
  /** The worker's Unix socket. */
  readonly path: string;
  /** The prefaces have been exchanged. */
  onUp(): void;
  /** The link is gone; null when it was drained. Exactly once, after every stream heard its end. */
  onDown(reason: Failure | null): void;
  readonly log?: LinkLog;
  /** Response content taken ahead on each stream. */
  readonly windowBytes?: number;
}

/** Connects to a worker. Streams may be opened at once; they are sent when the link is up. */
export function connectLink(options: ConnectOptions): Link {
  return new EdgeEnd(options);
}

class EdgeEnd implements Link, EdgeStreamOwner, FrameSink {
  readonly outbox: Outbox;
  readonly windowBytes: number;
  inFlight = 0;
  // connecting → up → down, or down at once; in any phase `closesWhenIdle` may come.
  private phase: 'connecting' | 'up' | 'down' = 'connecting';
  /** drain() was called, or the worker asked for it: no stream is opened any more. */
  private closesWhenIdle = false;
  private readonly options: ConnectOptions;
  private readonly socket: Socket;
  private readonly decoder: Decoder = new Decoder(this);
  private readonly prefaceTimer: NodeJS.Timeout;
  private prefaceBytes: Buffer = Buffer.alloc(0);
  /** What the worker takes ahead on each stream, and how many of those. */
  private peerWindowBytes = 0;
  private streamsMax = wire.STREAMS_MAX;
  // An id is free again when both directions of its stream have ended on the wire. So no late
  // frame can meet a later stream, ids need no generation, and nothing grows. Slot 0 is not used.
  private readonly slots: (EdgeStream | null)[] = [null];
  private readonly freeIds: number[] = [];

  constructor(options: ConnectOptions) {
    this.options = options;
    this.windowBytes = options.windowBytes ?? wire.WINDOW_BYTES;
    this.socket = connect(options.path);
    this.outbox = new Outbox(this.socket, nothing);
    this.prefaceTimer = setTimeout(() => {
      this.onBroken(`no preface from the worker in ${wire.PREFACE_TIMEOUT_MS} ms`);
    }, wire.PREFACE_TIMEOUT_MS);
    this.socket.on('connect', () => {
      const { windowBytes } = this;
      this.socket.write(encodePreface({ version: wire.LINK_VERSION, windowBytes, streamsMax: 0 }));
    });
    this.socket.on('data', (chunk: Buffer) => {
      if (this.phase === 'up') this.decoder.push(chunk);
      else this.readPreface(chunk);
    });
    this.socket.on('error', (error) => this.die(failure('WORKER_DIED', error.message, error)));
    this.socket.on('close', () => {
      const isDone = this.closesWhenIdle && this.slotsInUse === 0;
      this.die(isDone ? null : failure('WORKER_DIED', 'the worker closed the link'));
    });
  }

  get isUp(): boolean {
    return this.phase === 'up';
  }

  open(request: LinkRequest, observer: LinkObserver): LinkStream {
    this.inFlight += 1;
    const refusal = this.refusal();
    if (refusal !== null) return this.refuse(observer, refusal);
    const id = this.freeIds.pop() ?? this.slots.length;
    const { position, encoder } = this.outbox;
    const isWhole = request.bodyLength === 0;
    if (!encoder.request(id, request, isWhole)) {
      if (id < this.slots.length) this.freeIds.push(id);
      return this.refuse(
        observer,
        failure('FIELD_TOO_LARGE', 'the head is too large for the link'),
      );
    }
    const stream = new EdgeStream(this, observer, id, position, this.peerWindowBytes);
    if (isWhole) stream.sentWhole();
    this.slots[id] = stream;
    this.outbox.schedule();
    return stream;
  }

  drain(): void {
    this.closesWhenIdle = true;
    this.closeIfIdle();
  }

  destroy(reason: Failure): void {
    this.die(reason);
  }

  over(): void {
    this.inFlight -= 1;
  }

  release(id: number): void {
    this.slots[id] = null;
    this.freeIds.push(id);
    if (this.closesWhenIdle) this.closeIfIdle();
  }

  private get slotsInUse(): number {
    return this.slots.length - 1 - this.freeIds.length;
  }

  private refusal(): Failure | null {
    if (this.phase === 'down') return failure('WORKER_DIED', 'the link is down');
    if (this.closesWhenIdle) return failure('SHUTTING_DOWN', 'the link is being drained');
    if (this.slotsInUse >= this.streamsMax) return failure('QUEUE_FULL', 'no free stream');
    return null;
  }

  private refuse(observer: LinkObserver, reason: Failure): LinkStream {
    const stream = new EdgeStream(this, observer, 0, 0, 0);
    stream.refuseLater(reason);
    return stream;
  }

  private readPreface(chunk: Buffer): void {
    this.prefaceBytes = Buffer.concat([this.prefaceBytes, chunk]);
    const result = decodePreface(this.prefaceBytes, 'edge');
    if (result.kind === 'partial') return;
    if (result.kind === 'broken') {
      this.onBroken(result.detail);
      return;
    }
    const { windowBytes, streamsMax } = result.preface;
    if (this.slots.length - 1 > streamsMax) {
      this.onBroken(`the worker takes ${streamsMax} streams, more were opened`);
      return;
    }
    clearTimeout(this.prefaceTimer);
    this.phase = 'up';
    this.peerWindowBytes = windowBytes;
    this.streamsMax = streamsMax;
    for (const stream of this.slots) stream?.start(windowBytes);
    this.outbox.open();
    const rest = this.prefaceBytes.subarray(wire.PREFACE_BYTES);
    this.prefaceBytes = rest.subarray(0, 0);
    this.options.onUp();
    this.closeIfIdle();
    if (rest.length > 0) this.decoder.push(rest);
  }

  private closeIfIdle(): void {
    if (!this.closesWhenIdle || this.slotsInUse > 0) return;
    if (this.phase === 'connecting') this.die(null);
    else this.outbox.endSocket();
  }

  private die(reason: Failure | null): void {
    if (this.phase === 'down') return;
    this.phase = 'down';
    clearTimeout(this.prefaceTimer);
    this.decoder.stop();
    this.outbox.close();
    this.socket.destroy();
    const { handedDown } = this.outbox;
    for (const stream of this.slots) stream?.linkDied(reason, handedDown);
    this.slots.length = 1;
    this.freeIds.length = 0;
    this.options.onDown(reason);
  }

  // Frames.

  onResponse(id: number, status: number, reason: string, fields: Fields, end: boolean): void {
    const stream = this.slots[id];
    this.check(stream ? stream.gotResponse(status, reason, fields, end) : 'RESPONSE', id);
  }

  onInform(id: number, status: number, fields: Fields): void {
    const stream = this.slots[id];
    this.check(stream ? stream.gotInform(status, fields) : 'INFORM', id);
  }

  onData(id: number, chunk: Uint8Array, end: boolean): void {
    const stream = this.slots[id];
    this.check(stream ? stream.gotData(chunk, end) : 'DATA', id);
  }

  onEnd(id: number, trailers: Fields): void {
    const stream = this.slots[id];
    this.check(stream ? stream.gotEnd(trailers) : 'END', id);
  }

  onReset(id: number, code: string, detail: string, refused: boolean): void {
    const stream = this.slots[id];
    const reason = failureFromReset(code, detail);
    if (reason === null) this.check('RESET with an unknown code', id);
    else this.check(stream ? stream.gotReset(reason, refused) : 'RESET', id);
  }

  onCredit(id: number, bytes: number): void {
    const stream = this.slots[id];
    this.check(stream ? stream.gotCredit(bytes, this.peerWindowBytes) : 'CREDIT', id);
  }

  onDrain(): void {
    this.drain();
  }

  onPing(value: Uint8Array): void {
    this.outbox.pong(value);
  }

  onPong(): void {}

  onRequest(id: number): void {
    this.check('REQUEST', id);
  }

  onBroken(detail: string): void {
    this.options.log?.warning('link to a worker broken', { path: this.options.path, detail });
    this.die(failure('LINK_PROTOCOL', detail));
  }

  onThrown(error: unknown): void {
    throwLater(error);
  }

  private check(broken: string | null, id: number): void {
    if (broken !== null) this.onBroken(`${broken} on stream ${id}`);
  }
}

function nothing(): void {}
