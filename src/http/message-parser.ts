// What the parsers of requests and of responses share: lines that arrive in pieces, content by length or
// in chunks, trailers. The start line and what a head means are the subclass's.
//
// A push parser without buffers of its own: a head that arrives in one piece is read where it lies,
// and only a line that arrives in pieces is kept, up to its limit. How the bytes are split changes
// neither events nor failure: lines are judged whole, and what is judged sooner (the first byte of
// a line, its length) is judged first in whole lines too.

import type { FailureCode } from '../errors/catalogue.ts';
import { type Failure, failure } from '../errors/failure.ts';
import {
  CHUNK_EXTENSIONS_BYTES_MAX,
  CHUNK_LINE_BYTES_MAX,
  CHUNK_SIZE_DIGITS_MAX,
  chunkLineFault,
  digitsEnd,
  hexNumber,
} from './chunk-line.ts';
import type { BodyLength, Fields } from './exchange.ts';
import { readFieldLines } from './field-lines.ts';
import { withoutForbiddenTrailers } from './fields.ts';
import { HeadDraft, type ParserLimits } from './head-draft.ts';
import { linesEnd } from './head-end.ts';
import type { ContentEvents, ParserState } from './parser-events.ts';
import { PendingLine } from './pending-line.ts';
import { CR, hexValue, LF } from './tokens.ts';

/** Content of chunks below this is gathered, as far as one push goes: 64 KiB of chunks of one byte
 *  would otherwise be 10,000 events, and as many frames on the way to the app. */
const GATHER_BYTES = 1_024;

/** What the next byte belongs to. */
export const START_LINE = 0;
const FIELDS = 1;
const CONTENT = 2;
const CHUNK_SIZE = 3;
const CHUNK_DATA = 4;
const CHUNK_CR = 5;
const CHUNK_LF = 6;
const TRAILERS = 7;
const OVER = 8;

export abstract class MessageParser {
  /** What the peer did wrong. Set once: nothing more is taken. */
  failure: Failure | null = null;

  protected readonly limits: ParserLimits;
  protected phase = START_LINE;
  protected current: ParserState = 'idle';
  protected draft: HeadDraft | null = null;
  private readonly content: ContentEvents;
  private pending: PendingLine | null = null;
  /** Content left of the message or of the chunk. */
  private remaining = 0;
  private contentBytes = 0;
  private extensionBytes = 0;
  private gathered: Buffer | null = null;
  private gatheredBytes = 0;

  constructor(limits: ParserLimits, content: ContentEvents) {
    this.limits = limits;
    this.content = content;
  }

  get state(): ParserState {
    return this.current;
  }

  /**
   * Feeds bytes from `start`; returns the index after the last byte taken. Stops after one whole
   * message (state 'done'): the rest is the next, pipelined, one.
   */
  push(chunk: Buffer, start = 0): number {
    let at = start;
    const end = chunk.length;
    while (at < end && at !== -1) {
      switch (this.phase) {
        case START_LINE:
        case FIELDS:
        case TRAILERS:
          at = this.hasPending() ? this.takePending(chunk, at) : this.takeLines(chunk, at);
          break;
        case CONTENT:
        case CHUNK_DATA:
          at = this.takeContent(chunk, at);
          break;
        case CHUNK_SIZE:
          at = this.hasPending() ? this.takePending(chunk, at) : this.takeChunkLine(chunk, at);
          break;
        case CHUNK_CR:
        case CHUNK_LF:
          at = this.takeChunkEnd(chunk[at]!) ? at + 1 : -1;
          break;
        default:
          return at;
      }
      if (this.current === 'done') return at;
    }
    if (this.gathered !== null) this.flushGathered();
    return at === -1 ? end : at;
  }

  /** Makes ready for the next message; only in state 'done'. */
  next(): void {
    if (this.current !== 'done') return;
    this.phase = START_LINE;
    this.current = 'idle';
    this.contentBytes = 0;
    this.extensionBytes = 0;
  }

  /** Reads the start line at `start` of whole lines up to `end` and sets `draft`; the index after it,
   *  with `draft` unset if there were only empty lines, or -1 after a failure. */
  protected abstract readStart(bytes: Buffer, text: string, start: number, end: number): number;
  /** The head is complete. `lines`: the field lines, if they came in one piece. False after a failure. */
  protected abstract finishHead(draft: HeadDraft, lines: Uint8Array | null): boolean;
  /** Judges the first byte of a start line that is not whole; false after a failure. */
  protected abstract beginStart(first: number): boolean;
  protected abstract failStartTooLong(): -1;

  /** Takes the whole lines that begin at `start`; keeps the beginning of one that is not whole. */
  protected takeLines(chunk: Buffer, start: number): number {
    const isFirstLine = this.phase === START_LINE;
    const end = linesEnd(chunk, start, isFirstLine, this.limits.permitBareLf);
    if (end === start) return this.keep(chunk, start);
    return this.readLines(chunk, chunk.toString('latin1', start, end), start, end);
  }

  /** Reads whole lines of a head or of trailers, of which `text` is the Latin-1 form. */
  private readLines(bytes: Buffer, text: string, start: number, end: number): number {
    let at = start;
    let fieldsAt = -1;
    if (this.phase === START_LINE) {
      at = this.readStart(bytes, text, start, end);
      if (at === -1 || this.draft === null) return at;
      this.phase = FIELDS;
      fieldsAt = at;
    }
    const draft = this.draft!;
    at = readFieldLines(draft, bytes, text, start, at, end);
    if (at === -1) return this.failDraft();
    if (!draft.complete) return at;
    if (!draft.isTrailers) {
      const lines = fieldsAt === -1 ? null : bytes.subarray(fieldsAt, at);
      return this.finishHead(draft, lines) ? at : -1;
    }
    this.finish(withoutForbiddenTrailers(draft.fields));
    return at;
  }

  /** The head has been read, and so much content follows; Infinity: until the connection ends. */
  protected beginContent(length: BodyLength): void {
    this.draft = null;
    this.pending = null;
    this.current = 'body';
    this.phase = length === 'unknown' ? CHUNK_SIZE : CONTENT;
    if (length !== 'unknown') this.remaining = length;
  }

  /** The head was only the first of several (RFC 9110 section 15.2): another start line follows. */
  protected beginAnew(): void {
    this.draft = null;
    this.pending = null;
    this.phase = START_LINE;
  }

  private takeContent(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.remaining);
    this.remaining -= end - start;
    if (this.phase === CHUNK_DATA && end - start < GATHER_BYTES && end < chunk.length) {
      this.gather(chunk, start, end);
    } else {
      if (this.gathered !== null) this.flushGathered();
      const isWhole = start === 0 && end === chunk.length;
      this.content.onData(isWhole ? chunk : chunk.subarray(start, end));
    }
    if (this.remaining === 0) {
      if (this.phase === CONTENT) this.finish([]);
      else this.phase = CHUNK_CR;
    }
    return end;
  }

  /** Copies content of a chunk; what is left of `chunk` bounds what can come together in a push. */
  private gather(chunk: Buffer, start: number, end: number): void {
    this.gathered ??= Buffer.allocUnsafe(chunk.length - start);
    chunk.copy(this.gathered, this.gatheredBytes, start, end);
    this.gatheredBytes += end - start;
  }

  private flushGathered(): void {
    const content = this.gathered!.subarray(0, this.gatheredBytes);
    this.gathered = null;
    this.gatheredBytes = 0;
    this.content.onData(content);
  }

  private takeChunkEnd(byte: number): boolean {
    if (this.phase === CHUNK_CR) {
      this.phase = CHUNK_LF;
      return byte === CR || this.fail('BAD_CHUNK', 'a chunk is longer than its size') !== -1;
    }
    this.phase = CHUNK_SIZE;
    return byte === LF || this.fail('BAD_CHUNK', 'a chunk does not end with CRLF') !== -1;
  }

  private takeChunkLine(chunk: Buffer, start: number): number {
    const sizeEnd = digitsEnd(chunk, start);
    const isPlain = sizeEnd > start && sizeEnd - start <= CHUNK_SIZE_DIGITS_MAX;
    if (isPlain && chunk[sizeEnd] === CR && chunk[sizeEnd + 1] === LF) {
      return this.beginChunk(hexNumber(chunk, start, sizeEnd)) ? sizeEnd + 2 : -1;
    }
    const lf = chunk.indexOf(LF, start);
    if (lf === -1) return this.keep(chunk, start);
    return this.readChunkLine(chunk, start, lf) ? lf + 1 : -1;
  }

  /** Reads a size line that is more than a size, or wrong; its LF is at `lf`. */
  private readChunkLine(bytes: Buffer, start: number, lf: number): boolean {
    const lineBytes = lf - start - (bytes[lf - 1] === CR ? 1 : 0);
    if (hexValue[bytes[start]!] !== 255 && lineBytes > CHUNK_LINE_BYTES_MAX) {
      return this.failLineTooLong() !== -1;
    }
    let fault = chunkLineFault(bytes, start, lf);
    const sizeEnd = digitsEnd(bytes, start);
    this.extensionBytes += lineBytes - (sizeEnd - start);
    if (fault === null && this.extensionBytes > CHUNK_EXTENSIONS_BYTES_MAX) {
      fault = `chunk extensions are longer than ${CHUNK_EXTENSIONS_BYTES_MAX} bytes in all`;
    }
    if (fault !== null) {
      this.fail('BAD_CHUNK', fault);
      return false;
    }
    return this.beginChunk(hexNumber(bytes, start, sizeEnd));
  }

  private beginChunk(size: number): boolean {
    if (size === 0) {
      this.phase = TRAILERS;
      this.draft = new HeadDraft(this.limits, 'trailers');
      return true;
    }
    this.contentBytes += size;
    const limit = this.limits.bodyBytes;
    if (limit > 0 && this.contentBytes > limit) {
      this.fail('BODY_TOO_LARGE', `the content is larger than the limit of ${limit} bytes`);
      return false;
    }
    this.remaining = size;
    this.phase = CHUNK_DATA;
    return true;
  }

  private hasPending(): boolean {
    return this.pending !== null && this.pending.length > 0;
  }

  /** Takes the rest of the line whose beginning is kept. */
  private takePending(chunk: Buffer, start: number): number {
    const pending = this.pending!;
    const lf = chunk.indexOf(LF, start);
    if (lf === -1) return this.keep(chunk, start);
    const length = pending.length + lf + 1 - start;
    if (length > this.lineBytesMax() + 2) return this.failLineTooLong();
    const line = pending.finish(chunk, start, lf + 1);
    if (this.phase === CHUNK_SIZE) return this.readChunkLine(line, 0, length - 1) ? lf + 1 : -1;
    return this.readLines(line, line.toString('latin1'), 0, length) === -1 ? -1 : lf + 1;
  }

  /** Keeps the bytes from `start`, the beginning of a line, unless they are already wrong. */
  private keep(chunk: Buffer, start: number): number {
    const isBeginning = !this.hasPending();
    if (isBeginning && !this.beginLine(chunk[start]!)) return -1;
    const rest = chunk.length - start;
    const total = isBeginning ? rest : this.pending!.length + rest;
    const lineBytes = chunk[chunk.length - 1] === CR ? total - 1 : total;
    if (lineBytes > this.lineBytesMax()) return this.failLineTooLong();
    this.pending ??= new PendingLine(rest);
    this.pending.add(chunk, start);
    return chunk.length;
  }

  /** What is not HTTP gets its answer at once. */
  private beginLine(first: number): boolean {
    if (this.phase === START_LINE) return this.beginStart(first);
    if (this.phase === CHUNK_SIZE && hexValue[first] === 255) {
      this.fail('BAD_CHUNK', 'a chunk size is not hexadecimal');
      return false;
    }
    return true;
  }

  private lineBytesMax(): number {
    if (this.phase === START_LINE) return this.limits.requestLineBytes;
    return this.phase === CHUNK_SIZE ? CHUNK_LINE_BYTES_MAX : this.draft!.lineMax;
  }

  private failLineTooLong(): -1 {
    if (this.phase === START_LINE) return this.failStartTooLong();
    if (this.phase === CHUNK_SIZE) {
      return this.fail(
        'BAD_CHUNK',
        `a chunk size line is longer than ${CHUNK_LINE_BYTES_MAX} bytes`,
      );
    }
    this.draft!.failTooLarge();
    return this.failDraft();
  }

  protected finish(trailers: Fields): void {
    if (this.gathered !== null) this.flushGathered();
    this.draft = null;
    this.pending = null;
    this.phase = OVER;
    this.current = 'done';
    this.content.onEnd(trailers);
  }

  protected failDraft(): -1 {
    this.failure = this.failureFor(this.draft!.failure!);
    return this.end();
  }

  protected fail(code: FailureCode, detail: string): -1 {
    this.failure = this.failureFor(failure(code, detail));
    return this.end();
  }

  /** A fault is said as one of a request. */
  protected failureFor(fault: Failure): Failure {
    return fault;
  }

  private end(): -1 {
    // What came before the fault is content all the same.
    if (this.gathered !== null) this.flushGathered();
    this.pending = null;
    this.phase = OVER;
    this.current = 'failed';
    return -1;
  }
}
