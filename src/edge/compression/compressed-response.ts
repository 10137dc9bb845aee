// One response on its way through a compressor: small content at hand is compressed at once, all
// else on zlib's threads, with backpressure both ways and nothing held back when the app pauses.

import type { Transform } from 'node:stream';
import { failure } from '../../errors/failure.ts';
import type { Exchange, Fields } from '../../http/exchange.ts';
import type { ResponseSink, ResponseSource } from '../response-step.ts';
import { addVary, compressedFields } from './decide.ts';
import type { Encoder } from './encoders.ts';
import { padGzip } from './padding.ts';
import type { Slots } from './slots.ts';

/** Up to here content that is whole is compressed at once: that takes 20 to 300 µs, and a stream and
 *  its threads 100 to 300 µs of the same CPU besides. */
const WHOLE_BYTES_MAX = 32 * 1024;
/** One piece of work for a thread: 0.3 to 1 ms. Other responses and files wait for the threads too. */
const BATCH_BYTES_MAX = 64 * 1024;
/** What waits to be compressed before write() says so. */
const WAITING_BYTES_MAX = 64 * 1024;

export interface CompressionParts {
  readonly encoder: Encoder;
  /** Content-Length as the app gave it. */
  readonly length: number | null;
  readonly minBytes: number;
  /** Most bytes of padding; 0 = none. */
  readonly paddingBytes: number;
  readonly slots: Slots;
  readonly streamsMax: number;
}

interface Head {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
}

/**
 *   gathering ──end()──▶ over: compressed whole, or left alone where that gains nothing
 *       ├──turn over, or more than WHOLE_BYTES_MAX──▶ encoding ──▶ over
 *       └──the same, but no slot is free────────────▶ plain ─────▶ over
 *
 * The head waits while gathering: at most until the end of the turn in which it came.
 */
export class CompressedResponse implements ResponseSink {
  private phase: 'gathering' | 'encoding' | 'plain' | 'over' = 'gathering';
  private readonly exchange: Exchange;
  private readonly source: ResponseSource;
  private readonly parts: CompressionParts;
  private head: Head = { status: 0, reason: '', fields: [] };
  /** Content that waits to be compressed. */
  private gathered: Uint8Array[] = [];
  private gatheredBytes = 0;
  /** All that came. */
  private totalBytes = 0;
  /** The response has ended, with these. */
  private trailers: Fields | null = null;
  private turn: NodeJS.Immediate | null = null;
  private stream: Transform | null = null;
  private batchBytes = 0;
  private isBusy = false;
  private hasSlot = false;
  private isPadded = false;
  /** The client has no room. */
  private isBlocked = false;
  /** A write() returned false. */
  private wantsRoom = false;

  constructor(exchange: Exchange, source: ResponseSource, parts: CompressionParts) {
    this.exchange = exchange;
    this.source = source;
    this.parts = parts;
  }

  // ── from the app

  respond(status: number, reason: string, fields: Fields): void {
    this.head = { status, reason, fields };
    this.atTurnEnd();
  }

  write(chunk: Uint8Array): boolean {
    if (this.phase === 'over' || chunk.length === 0) return true;
    if (this.phase === 'plain') return this.exchange.write(chunk);
    this.totalBytes += chunk.length;
    if (this.brokePromise(false)) return true;
    this.gathered.push(chunk);
    this.gatheredBytes += chunk.length;
    if (this.phase === 'encoding') this.atTurnEnd();
    else if (this.gatheredBytes > WHOLE_BYTES_MAX) return this.begin();
    return this.hasRoom();
  }

  end(trailers: Fields): void {
    if (this.phase === 'over' || this.trailers !== null) return;
    this.trailers = trailers;
    if (this.phase === 'plain') this.finish(trailers);
    else if (this.brokePromise(true)) return;
    else if (this.phase === 'gathering') this.sendWhole(trailers);
    else this.work();
  }

  // ── from the client

  onDrain(): void {
    this.isBlocked = false;
    if (this.phase === 'plain') this.source.onRoom();
    if (this.phase !== 'encoding') return;
    this.stream?.resume();
    this.tellRoom();
    this.work();
  }

  close(): void {
    this.phase = 'over';
    if (this.turn !== null) clearImmediate(this.turn);
    this.turn = null;
    this.gathered = [];
    this.stream?.destroy();
    this.leaveSlot();
  }

  // ── gathering

  /** What comes in one turn of the event loop is compressed together; when nothing more came, the app
   *  paused, and what is there has to go. */
  private atTurnEnd(): void {
    if (this.turn === null) this.turn = setImmediate(turnEnded, this);
  }

  /** For the scheduled call alone. */
  onTurnEnd(): void {
    this.turn = null;
    if (this.phase === 'gathering') this.begin();
    else if (this.phase === 'encoding') this.work();
  }

  private sendWhole(trailers: Fields): void {
    const { encoder, minBytes, length: promised } = this.parts;
    const content = concat(this.gathered, this.gatheredBytes);
    // With a promise that was not kept the exchange deals, which hears it in the plain head.
    if (content.length >= minBytes && (promised ?? content.length) === content.length) {
      const compressed = this.padded(encoder.whole(content));
      if (compressed.length < content.length) {
        const { status, reason, fields } = this.head;
        // Trailers need chunks, and so no length.
        const length = trailers.length === 0 ? compressed.length : null;
        this.exchange.respond(status, reason, compressedFields(fields, encoder.name, length));
        this.exchange.write(compressed);
        this.finish(trailers);
        return;
      }
    }
    this.sendPlainHead();
    this.exchange.write(content);
    this.finish(trailers);
  }

  private sendPlainHead(): void {
    const { status, reason, fields } = this.head;
    addVary(fields);
    this.exchange.respond(status, reason, fields);
  }

  /** Sends the head, now that it is known that content comes in pieces. False: no room for more. */
  private begin(): boolean {
    const { encoder, slots, streamsMax } = this.parts;
    this.hasSlot = slots.take(streamsMax);
    if (!this.hasSlot) {
      this.beginPlain();
      return !this.isBlocked;
    }
    this.phase = 'encoding';
    const { status, reason, fields } = this.head;
    this.exchange.respond(status, reason, compressedFields(fields, encoder.name, null));
    this.work();
    return this.hasRoom();
  }

  private beginPlain(): void {
    this.phase = 'plain';
    this.sendPlainHead();
    const { gathered } = this;
    this.gathered = [];
    for (const chunk of gathered) if (!this.exchange.write(chunk)) this.isBlocked = true;
    if (!this.isBlocked) this.tellRoom();
  }

  // ── encoding

  /** Gives the stream the next piece of work, if it is free and the client takes what comes out. */
  private work(): void {
    if (this.phase !== 'encoding' || this.isBusy || this.isBlocked) return;
    const { trailers } = this;
    if (this.gatheredBytes === 0 && trailers === null) return;
    if (this.stream === null && trailers !== null && this.gatheredBytes <= WHOLE_BYTES_MAX) {
      const content = concat(this.gathered, this.gatheredBytes);
      this.exchange.write(this.padded(this.parts.encoder.whole(content)));
      this.finish(trailers);
      return;
    }
    this.stream ??= this.openStream();
    const batch = this.nextBatch();
    this.isBusy = true;
    if (batch.length === 0) this.stream.end();
    else if (trailers !== null && this.gatheredBytes === 0) this.stream.end(batch);
    else this.stream.write(batch, (error) => this.onWorked(error));
  }

  private nextBatch(): Uint8Array {
    let count = 0;
    let bytes = 0;
    do bytes += this.gathered[count++]?.length ?? 0;
    while (count < this.gathered.length && bytes + this.gathered[count]!.length <= BATCH_BYTES_MAX);
    this.gatheredBytes -= bytes;
    this.batchBytes = bytes;
    return concat(this.gathered.splice(0, count), bytes);
  }

  private onWorked(error: Error | null | undefined): void {
    if (error || this.phase === 'over') return; // 'error' tells it
    this.isBusy = false;
    this.batchBytes = 0;
    this.tellRoom();
    this.work();
  }

  private openStream(): Transform {
    const stream = this.parts.encoder.stream();
    stream.on('data', (piece: Buffer) => {
      if (this.phase !== 'encoding' || this.exchange.write(this.padded(piece))) return;
      this.isBlocked = true;
      stream.pause();
    });
    stream.on('end', () => {
      if (this.phase === 'encoding') this.finish(this.trailers ?? []);
    });
    stream.on('error', (error) => {
      if (this.phase === 'over') return;
      this.exchange.fail(failure('EDGE_FAULT', `compression: ${error.message}`, error));
    });
    return stream;
  }

  private padded(piece: Buffer): Buffer {
    const { paddingBytes } = this.parts;
    if (paddingBytes === 0 || this.isPadded) return piece;
    this.isPadded = true;
    return padGzip(piece, paddingBytes);
  }

  // ── both

  private hasRoom(): boolean {
    const waiting = this.gatheredBytes + this.batchBytes;
    this.wantsRoom = this.isBlocked || waiting >= WAITING_BYTES_MAX;
    return !this.wantsRoom;
  }

  private tellRoom(): void {
    if (this.wantsRoom && this.hasRoom()) this.source.onRoom();
  }

  /** The exchange would hold the app to its Content-Length, but never hears it. */
  private brokePromise(isEnd: boolean): boolean {
    const { length } = this.parts;
    if (length === null || this.phase === 'gathering') return false;
    if (isEnd ? this.totalBytes === length : this.totalBytes <= length) return false;
    const detail = `${this.totalBytes} bytes came of the ${length} promised`;
    this.exchange.fail(failure('RESPONSE_LENGTH', detail));
    return true;
  }

  private finish(trailers: Fields): void {
    this.phase = 'over';
    this.exchange.end(trailers);
    this.close();
  }

  private leaveSlot(): void {
    if (this.hasSlot) this.parts.slots.leave();
    this.hasSlot = false;
  }
}

function turnEnded(response: CompressedResponse): void {
  response.onTurnEnd();
}

function concat(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes);
}
