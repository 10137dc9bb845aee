// Turns bytes back into frames, fed in pieces of any size. Every byte is hostile: what breaks the
// protocol is told once to sink.onBroken, and nothing after it is read.

import type { Fields, HttpVersion } from '../http/exchange.ts';
import { readLatin1 } from '../http/latin1.ts';
import * as format from './encoder.ts';
import type { LinkRequest } from './link.ts';
import * as wire from './protocol.ts';

/** What the two ends hear. Stream ids are 1 … 2^32-1 and not yet looked up. */
export interface FrameSink {
  onRequest(stream: number, open: LinkRequest, end: boolean): void;
  onResponse(stream: number, status: number, reason: string, fields: Fields, end: boolean): void;
  onInform(stream: number, status: number, fields: Fields): void;
  /** At least one byte, a view of what was pushed. A frame comes in pieces when it was pushed in
   *  pieces; `end` only with the last. */
  onData(stream: number, chunk: Uint8Array, end: boolean): void;
  onEnd(stream: number, trailers: Fields): void;
  onReset(stream: number, code: string, detail: string, refused: boolean): void;
  onCredit(stream: number, bytes: number): void;
  onPing(value: Uint8Array): void;
  onPong(value: Uint8Array): void;
  onDrain(): void;
  /** The peer broke the protocol; the last call. */
  onBroken(detail: string): void;
  /** The sink threw: a programmer's error, which must not cost the frames behind it. */
  onThrown(error: unknown): void;
}

export class Decoder {
  private readonly sink: FrameSink;
  private stopped = false;
  /** Start of a frame whose rest has not come: all of a head, or less than a header. */
  private carry: Buffer | null = null;
  private carried = 0;
  // The DATA frame that is being received.
  private dataLeft = 0;
  private dataStream = 0;
  private dataEnds = false;
  // Where the next string of the frame at hand is.
  private lengthAt = 0;
  private textAt = 0;
  private text = '';

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  /** Nothing more is read or reported. */
  stop(): void {
    this.stopped = true;
    this.carry = null;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.stopped) {
      if (this.dataLeft > 0) at = this.takeData(chunk, at);
      else if (this.carry !== null) at = this.takeCarry(chunk, at, this.carry);
      else at = this.takeFrame(chunk, at);
    }
  }

  private takeData(chunk: Buffer, at: number): number {
    const to = Math.min(at + this.dataLeft, chunk.length);
    this.dataLeft -= to - at;
    try {
      this.sink.onData(
        this.dataStream,
        chunk.subarray(at, to),
        this.dataEnds && this.dataLeft === 0,
      );
    } catch (error) {
      this.sink.onThrown(error);
    }
    return to;
  }

  /** Reads the frame at `at`, or begins to carry it when it is not all there. */
  private takeFrame(chunk: Buffer, at: number): number {
    const have = chunk.length - at;
    if (have < wire.FRAME_HEADER_BYTES) return this.startCarry(chunk, at, wire.FRAME_HEADER_BYTES);
    if (!this.checkHeader(chunk, at)) return chunk.length;
    const payloadAt = at + wire.FRAME_HEADER_BYTES;
    if (this.dataLeft > 0) return payloadAt;
    const frameBytes = wire.FRAME_HEADER_BYTES + payloadBytes(chunk, at);
    if (have < frameBytes) return this.startCarry(chunk, at, frameBytes);
    this.dispatch(chunk, at, at + frameBytes);
    return at + frameBytes;
  }

  private startCarry(chunk: Buffer, at: number, capacity: number): number {
    this.carry = Buffer.allocUnsafe(capacity);
    this.carried = chunk.copy(this.carry, 0, at);
    return chunk.length;
  }

  private takeCarry(chunk: Buffer, at: number, carry: Buffer): number {
    const next = Math.min(at + carry.length - this.carried, chunk.length);
    this.carried += chunk.copy(carry, this.carried, at, next);
    if (this.carried < carry.length) return next;
    this.carry = null;
    // Either all of the frame is here, or its header, which says how much more to carry.
    if (carry.length > wire.FRAME_HEADER_BYTES) this.dispatch(carry, 0, carry.length);
    else this.takeFrame(carry, 0);
    return next;
  }

  /** Checks what can be checked before the payload is there; sets dataLeft for DATA. */
  private checkHeader(buffer: Buffer, at: number): boolean {
    const length = payloadBytes(buffer, at);
    const type = buffer[at + 3]! & 0x0f;
    const flags = buffer[at + 3]! & 0xf0;
    const stream = readU32(buffer, at + 4);
    if (!typeIsKnown(type)) return this.broken(`frame type ${type} is unknown`);
    if ((stream === 0) !== (type >= wire.PING || type === wire.DRAIN))
      return this.broken(`${typeNames[type]} on stream ${stream}`);
    if ((flags & ~allowedFlags[type]!) !== 0)
      return this.broken(`${typeNames[type]} with flags ${flags}`);
    if (length > lengthMax[type]! || length < lengthMin[type]!)
      return this.broken(`${typeNames[type]} of ${length} bytes`);
    if (type === wire.DATA) {
      this.dataLeft = length;
      this.dataStream = stream;
      this.dataEnds = flags === wire.FLAG_END;
    }
    return true;
  }

  /** A whole frame other than DATA, its header checked. */
  private dispatch(buffer: Buffer, at: number, to: number): void {
    try {
      const payloadAt = at + wire.FRAME_HEADER_BYTES;
      const stream = readU32(buffer, at + 4);
      const end = (buffer[at + 3]! & wire.FLAG_END) !== 0;
      switch (buffer[at + 3]! & 0x0f) {
        case wire.REQUEST:
          this.request(stream, buffer, payloadAt, to, end);
          break;
        case wire.RESPONSE:
          this.response(stream, buffer, payloadAt, to, end);
          break;
        case wire.INFORM:
          this.inform(stream, buffer, payloadAt, to);
          break;
        case wire.END:
          this.end(stream, buffer, payloadAt, to);
          break;
        case wire.RESET:
          this.reset(stream, buffer, payloadAt, to);
          break;
        case wire.CREDIT:
          this.sink.onCredit(stream, readU32(buffer, payloadAt));
          break;
        case wire.PING:
          this.sink.onPing(buffer.subarray(payloadAt, to));
          break;
        case wire.PONG:
          this.sink.onPong(buffer.subarray(payloadAt, to));
          break;
        default:
          this.sink.onDrain();
      }
    } catch (error) {
      this.sink.onThrown(error);
    }
  }

  private request(stream: number, buffer: Buffer, at: number, to: number, end: boolean): void {
    const version = versions[buffer[at]!];
    const bits = buffer[at + 1]!;
    const lengthHigh = readU32(buffer, at + 10);
    const unknown = (bits & format.BIT_LENGTH_UNKNOWN) !== 0;
    const length = lengthHigh * 0x1_0000_0000 + readU32(buffer, at + 6);
    const tlsStrings = tlsStringCount(bits);
    const stringsAt = at + format.REQUEST_FIXED_BYTES;
    const count = this.openStrings(buffer, stringsAt, to);
    const rest = count - format.REQUEST_STRINGS - tlsStrings;
    if (count < 0 || rest < 0 || rest % 2 !== 0) return void this.broken('REQUEST strings');
    if (version === undefined || tlsStrings < 0 || lengthHigh > 0x1f_ffff)
      return void this.broken('REQUEST facts');
    if (end && (unknown || length > 0)) return void this.broken('REQUEST ends without its content');
    const method = this.nextString(buffer);
    const target = this.nextString(buffer);
    const requestId = this.nextString(buffer);
    const address = this.nextString(buffer);
    const peerAddress = this.nextString(buffer);
    const localAddress = this.nextString(buffer);
    const tls = (bits & format.BIT_TLS) === 0 ? null : this.tlsFacts(buffer, bits);
    const open: LinkRequest = {
      request: { method, target, version, fields: this.restOfStrings(buffer, rest) },
      client: {
        address,
        port: readU16(buffer, at + 2),
        peerAddress,
        localAddress,
        localPort: readU16(buffer, at + 4),
        scheme: (bits & format.BIT_HTTPS) === 0 ? 'http' : 'https',
        tls,
      },
      requestId,
      bodyLength: unknown ? 'unknown' : length,
      expectsContinue: (bits & format.BIT_EXPECTS_CONTINUE) !== 0,
    };
    this.sink.onRequest(stream, open, end);
  }

  private tlsFacts(buffer: Buffer, bits: number): LinkRequest['client']['tls'] {
    const protocol = this.nextString(buffer);
    const cipher = this.nextString(buffer);
    const serverName = latin1AsUtf8(this.nextString(buffer));
    return {
      protocol,
      cipher,
      serverName: (bits & format.BIT_SERVER_NAME) === 0 ? null : serverName,
      clientCertificate:
        (bits & format.BIT_CLIENT_CERTIFICATE) === 0
          ? null
          : {
              subject: latin1AsUtf8(this.nextString(buffer)),
              fingerprint256: this.nextString(buffer),
              verified: (bits & format.BIT_CERTIFICATE_VERIFIED) !== 0,
            },
    };
  }

  private response(stream: number, buffer: Buffer, at: number, to: number, end: boolean): void {
    const status = readU16(buffer, at);
    const count = this.openStrings(buffer, at + 2, to);
    if (count < 1 || count % 2 !== 1) return void this.broken('RESPONSE strings');
    if (status < 200 || status > 999) return void this.broken(`RESPONSE with status ${status}`);
    const reason = this.nextString(buffer);
    this.sink.onResponse(stream, status, reason, this.restOfStrings(buffer, count - 1), end);
  }

  private inform(stream: number, buffer: Buffer, at: number, to: number): void {
    const status = readU16(buffer, at);
    const count = this.openStrings(buffer, at + 2, to);
    if (count < 1 || count % 2 !== 1) return void this.broken('INFORM strings');
    if (status < 100 || status > 199 || status === 101)
      return void this.broken(`INFORM with status ${status}`);
    this.nextString(buffer);
    this.sink.onInform(stream, status, this.restOfStrings(buffer, count - 1));
  }

  private end(stream: number, buffer: Buffer, at: number, to: number): void {
    const count = this.openStrings(buffer, at, to);
    if (count < 0 || count % 2 !== 0) return void this.broken('END strings');
    this.sink.onEnd(stream, this.restOfStrings(buffer, count));
  }

  private reset(stream: number, buffer: Buffer, at: number, to: number): void {
    if (this.openStrings(buffer, at, to) !== 2) return void this.broken('RESET strings');
    const refused = (buffer[at - wire.FRAME_HEADER_BYTES + 3]! & wire.FLAG_REFUSED) !== 0;
    const code = this.nextString(buffer);
    const detail = this.nextString(buffer);
    this.sink.onReset(stream, code, detail, refused);
  }

  /** Checks that the strings fill [at, to) exactly, and makes them ready for nextString().
   *  Returns how many there are, or -1. */
  private openStrings(buffer: Buffer, at: number, to: number): number {
    const count = readU16(buffer, at);
    let next = at + 2;
    let bytes = 0;
    this.lengthAt = next;
    for (let index = 0; index < count; index++) {
      if (next >= to) return -1;
      const short = buffer[next]!;
      if (short !== format.LONG_STRING) {
        bytes += short;
        next += 1;
      } else {
        if (next + 5 > to) return -1;
        bytes += readU32(buffer, next + 1);
        next += 5;
      }
    }
    if (bytes !== to - next) return -1;
    this.text = bytes === 0 ? '' : readLatin1(buffer, next, to);
    this.textAt = 0;
    return count;
  }

  private nextString(buffer: Buffer): string {
    let length = buffer[this.lengthAt]!;
    if (length === format.LONG_STRING) {
      length = readU32(buffer, this.lengthAt + 1);
      this.lengthAt += 5;
    } else {
      this.lengthAt += 1;
    }
    const from = this.textAt;
    this.textAt = from + length;
    return this.text.slice(from, this.textAt);
  }

  private restOfStrings(buffer: Buffer, count: number): string[] {
    const strings: string[] = [];
    for (let index = 0; index < count; index++) strings.push(this.nextString(buffer));
    this.text = '';
    return strings;
  }

  private broken(detail: string): false {
    if (!this.stopped) {
      this.stop();
      this.sink.onBroken(detail);
    }
    return false;
  }
}

const versions: Record<number, HttpVersion | undefined> = { 10: '1.0', 11: '1.1', 20: '2.0' };

// Index is the frame type.
const typeNames = [
  '',
  'REQUEST',
  'RESPONSE',
  'INFORM',
  'DRAIN',
  'DATA',
  'END',
  'RESET',
  'CREDIT',
  'PING',
  'PONG',
];
const allowedFlags = [
  0,
  wire.FLAG_END,
  wire.FLAG_END,
  0,
  0,
  wire.FLAG_END,
  0,
  wire.FLAG_REFUSED,
  0,
  0,
  0,
];
const lengthMin = [
  0,
  format.REQUEST_FIXED_BYTES + 2,
  4,
  4,
  0,
  1,
  2,
  2,
  wire.CREDIT_BYTES,
  wire.PING_BYTES,
  wire.PING_BYTES,
];
const head = wire.HEAD_BYTES_MAX;
const lengthMax = [
  0,
  head,
  head,
  head,
  0,
  wire.DATA_BYTES_MAX,
  head,
  head,
  wire.CREDIT_BYTES,
  wire.PING_BYTES,
  wire.PING_BYTES,
];

function typeIsKnown(type: number): boolean {
  return type >= wire.REQUEST && type <= wire.PONG;
}

/** -1 when the bits contradict each other. */
function tlsStringCount(bits: number): number {
  const hasCertificate = (bits & format.BIT_CLIENT_CERTIFICATE) !== 0;
  if ((bits & format.BIT_TLS) !== 0) return hasCertificate ? 5 : 3;
  return hasCertificate ? -1 : 0;
}

function payloadBytes(buffer: Buffer, at: number): number {
  return buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16);
}

function readU16(buffer: Buffer, at: number): number {
  return buffer[at]! | (buffer[at + 1]! << 8);
}

function readU32(buffer: Buffer, at: number): number {
  return (
    (buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24)) >>> 0
  );
}

function latin1AsUtf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
