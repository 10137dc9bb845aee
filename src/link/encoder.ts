// Turns frames into bytes in one growing, reused buffer: the batch that goes to the kernel next.

import type { Fields } from '../http/exchange.ts';
import { writeLatin1 } from '../http/latin1.ts';
import { type EncodedFields, ownCopy, type SharedFields } from '../http/repeated-fields.ts';
import type { LinkRequest } from './link.ts';
import * as wire from './protocol.ts';

// Payload of REQUEST: version u8, bits u8, client port u16, local port u16, body length u64, strings.
export const REQUEST_FIXED_BYTES = 14;
export const BIT_HTTPS = 1;
export const BIT_TLS = 2;
export const BIT_EXPECTS_CONTINUE = 4;
export const BIT_LENGTH_UNKNOWN = 8;
export const BIT_SERVER_NAME = 16;
export const BIT_CLIENT_CERTIFICATE = 32;
export const BIT_CERTIFICATE_VERIFIED = 64;
/** method, target, request id, client, peer and local address. */
export const REQUEST_STRINGS = 6;

const versionCodes = { '1.0': 10, '1.1': 11, '2.0': 20 } as const;

/** Strings travel as: count u16, the length of each (one byte, or 255 and u32), then all of them as
 *  one run of latin1. Decoding is one native call and cheap substrings: half of what splitting at a
 *  separator costs, and no byte in a value can shift the ones after it. */
const STRINGS_COUNT_MAX = 0xffff;
export const LONG_STRING = 255;

/** Room for a batch that is flushed at FLUSH_BYTES and a frame on top. */
const BUFFER_BYTES = wire.FLUSH_BYTES + wire.COPY_BYTES_MAX;

export class Encoder {
  buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  length = 0;
  /** What comes before the unsealed rest of the buffer: sealed stretches of it, and large pieces of
   *  content, which are not copied. */
  readonly parts: Uint8Array[] = [];
  private partsBytes = 0;
  private sealedLength = 0;
  /** A buffer that the kernel has done with. */
  private spare: Buffer | null = null;
  // The last frame, as long as it may still be changed in the batch: END is set on it, DATA appended.
  private lastAt = 0;
  private lastStream = 0;
  private lastIsData = false;

  /** Size of the batch. */
  get bytes(): number {
    return this.partsBytes + this.length - this.sealedLength;
  }

  /** Makes `parts` the whole batch. */
  seal(): void {
    if (this.length === this.sealedLength) return;
    const part = this.buffer.subarray(this.sealedLength, this.length);
    this.parts.push(part);
    this.partsBytes += part.length;
    this.sealedLength = this.length;
  }

  /** The batch has been handed down. Returns the buffer if the kernel still needs it. */
  clear(isInUse: boolean): Buffer | null {
    const { buffer } = this;
    if (isInUse || buffer.length > 4 * BUFFER_BYTES) {
      this.buffer = this.spare ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
      this.spare = null;
    }
    this.parts.length = 0;
    this.partsBytes = 0;
    this.sealedLength = 0;
    this.length = 0;
    this.lastStream = 0;
    return isInUse ? buffer : null;
  }

  /** Takes a buffer back that clear() has given. */
  recycle(buffer: Buffer): void {
    if (buffer.length === BUFFER_BYTES) this.spare = buffer;
  }

  /** False, and nothing written, when the head is larger than HEAD_BYTES_MAX. */
  request(stream: number, open: LinkRequest, end: boolean): boolean {
    const { request, client, bodyLength } = open;
    const { fields } = request;
    const tls = client.tls;
    let bits = client.scheme === 'https' ? BIT_HTTPS : 0;
    if (open.expectsContinue) bits |= BIT_EXPECTS_CONTINUE;
    if (bodyLength === 'unknown') bits |= BIT_LENGTH_UNKNOWN;
    let tlsStrings: string[] = none;
    if (tls !== null) {
      bits |= BIT_TLS;
      tlsStrings = [tls.protocol, tls.cipher, utf8AsLatin1(tls.serverName ?? '')];
      if (tls.serverName !== null) bits |= BIT_SERVER_NAME;
      const certificate = tls.clientCertificate;
      if (certificate !== null) {
        bits |= BIT_CLIENT_CERTIFICATE;
        if (certificate.verified) bits |= BIT_CERTIFICATE_VERIFIED;
        tlsStrings.push(utf8AsLatin1(certificate.subject), certificate.fingerprint256);
      }
    }
    const count = REQUEST_STRINGS + tlsStrings.length + fields.length;
    let text =
      request.method +
      request.target +
      open.requestId +
      client.address +
      client.peerAddress +
      client.localAddress;
    for (let index = 0; index < tlsStrings.length; index++) text += tlsStrings[index];
    const shared = request.shared?.fields === fields ? encoded(request.shared) : null;
    if (shared === null) for (let index = 0; index < fields.length; index++) text += fields[index];
    const sharedBytes = shared === null ? 0 : shared.text.length;
    const fixed = wire.FRAME_HEADER_BYTES + REQUEST_FIXED_BYTES;
    if (!this.fits(fixed, count, text.length + sharedBytes)) return false;

    const start = this.length;
    const { buffer } = this;
    let at = start + wire.FRAME_HEADER_BYTES;
    buffer[at++] = versionCodes[request.version];
    buffer[at++] = bits;
    at = putU16(buffer, at, client.port);
    at = putU16(buffer, at, client.localPort);
    const bytes = bodyLength === 'unknown' ? 0 : bodyLength;
    at = putU32(buffer, at, bytes >>> 0);
    at = putU32(buffer, at, Math.floor(bytes / 0x1_0000_0000));
    at = putU16(buffer, at, count);
    at = putLength(buffer, at, request.method.length);
    at = putLength(buffer, at, request.target.length);
    at = putLength(buffer, at, open.requestId.length);
    at = putLength(buffer, at, client.address.length);
    at = putLength(buffer, at, client.peerAddress.length);
    at = putLength(buffer, at, client.localAddress.length);
    at = putLengths(buffer, at, tlsStrings);
    const typeAndFlags = wire.REQUEST | (end ? wire.FLAG_END : 0);
    if (shared === null) {
      at = putLengths(buffer, at, fields);
      this.finish(start, at, text, stream, typeAndFlags);
      return true;
    }
    buffer.set(shared.lengths, at);
    at += shared.lengths.length;
    at += writeLatin1(buffer, text, at);
    buffer.set(shared.text, at);
    this.finish(start, at + sharedBytes, '', stream, typeAndFlags);
    return true;
  }

  /** False, and nothing written, when the head is larger than HEAD_BYTES_MAX. */
  response(stream: number, status: number, reason: string, fields: Fields): boolean {
    return this.head(wire.RESPONSE, stream, status, reason, fields);
  }

  inform(stream: number, status: number, fields: Fields): boolean {
    return this.head(wire.INFORM, stream, status, '', fields);
  }

  private head(
    type: number,
    stream: number,
    status: number,
    reason: string,
    fields: Fields,
  ): boolean {
    let text = reason;
    for (let index = 0; index < fields.length; index++) text += fields[index];
    if (!this.fits(wire.FRAME_HEADER_BYTES + 2, 1 + fields.length, text.length)) return false;
    const start = this.length;
    const { buffer } = this;
    let at = putU16(buffer, start + wire.FRAME_HEADER_BYTES, status);
    at = putU16(buffer, at, 1 + fields.length);
    at = putLength(buffer, at, reason.length);
    at = putLengths(buffer, at, fields);
    this.finish(start, at, text, stream, type);
    if (type === wire.INFORM) this.lastStream = 0; // END means nothing on it
    return true;
  }

  /** Bytes [from, to) of the chunk, at most DATA_BYTES_MAX and at least one. The chunk may be kept
   *  until the batch has left. */
  data(stream: number, chunk: Uint8Array, from: number, to: number): void {
    const bytes = to - from;
    if (bytes >= wire.COPY_BYTES_MAX) {
      this.largeData(stream, chunk, from, to);
      return;
    }
    this.reserve(wire.FRAME_HEADER_BYTES + bytes);
    let { lastAt } = this;
    let before = 0;
    if (this.lastStream === stream && this.lastIsData) {
      // An app that writes many small pieces in one turn pays for one frame, not for each.
      before = this.length - lastAt - wire.FRAME_HEADER_BYTES;
      if (before + bytes > wire.DATA_BYTES_MAX) before = 0;
    }
    if (before === 0) {
      lastAt = this.length;
      this.length += wire.FRAME_HEADER_BYTES;
    }
    const { buffer } = this;
    if (from === 0 && to === chunk.length) buffer.set(chunk, this.length);
    else buffer.set(chunk.subarray(from, to), this.length);
    this.length += bytes;
    putHeader(buffer, lastAt, before + bytes, wire.DATA, stream);
    this.lastAt = lastAt;
    this.lastStream = stream;
    this.lastIsData = true;
  }

  private largeData(stream: number, chunk: Uint8Array, from: number, to: number): void {
    this.reserve(wire.FRAME_HEADER_BYTES);
    putHeader(this.buffer, this.length, to - from, wire.DATA, stream);
    this.lastAt = this.length;
    this.lastStream = stream;
    this.lastIsData = false; // nothing can be joined to it
    this.length += wire.FRAME_HEADER_BYTES;
    this.seal();
    this.parts.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
    this.partsBytes += to - from;
  }

  /** False, and nothing written, when the trailers are larger than HEAD_BYTES_MAX. */
  end(stream: number, trailers: Fields): boolean {
    if (trailers.length === 0 && this.lastStream === stream) {
      const at = this.lastAt + 3;
      this.buffer[at] = this.buffer[at]! | wire.FLAG_END;
      this.lastStream = 0;
      return true;
    }
    return this.strings(wire.END, stream, trailers);
  }

  reset(stream: number, code: string, detail: string, refused: boolean): void {
    this.strings(wire.RESET | (refused ? wire.FLAG_REFUSED : 0), stream, [code, detail]);
  }

  credit(stream: number, bytes: number): void {
    this.reserve(wire.FRAME_HEADER_BYTES + wire.CREDIT_BYTES);
    putHeader(this.buffer, this.length, wire.CREDIT_BYTES, wire.CREDIT, stream);
    this.length = putU32(this.buffer, this.length + wire.FRAME_HEADER_BYTES, bytes);
    this.lastStream = 0;
  }

  /** PING or PONG with its eight bytes. */
  ping(type: number, value: Uint8Array): void {
    this.reserve(wire.FRAME_HEADER_BYTES + wire.PING_BYTES);
    putHeader(this.buffer, this.length, wire.PING_BYTES, type, 0);
    this.buffer.set(value, this.length + wire.FRAME_HEADER_BYTES);
    this.length += wire.FRAME_HEADER_BYTES + wire.PING_BYTES;
    this.lastStream = 0;
  }

  drain(): void {
    this.reserve(wire.FRAME_HEADER_BYTES);
    putHeader(this.buffer, this.length, 0, wire.DRAIN, 0);
    this.length += wire.FRAME_HEADER_BYTES;
    this.lastStream = 0;
  }

  private strings(typeAndFlags: number, stream: number, strings: string[]): boolean {
    let text = '';
    for (let index = 0; index < strings.length; index++) text += strings[index];
    if (!this.fits(wire.FRAME_HEADER_BYTES, strings.length, text.length)) return false;
    const start = this.length;
    let at = putU16(this.buffer, start + wire.FRAME_HEADER_BYTES, strings.length);
    at = putLengths(this.buffer, at, strings);
    this.finish(start, at, text, stream, typeAndFlags);
    this.lastStream = 0;
    return true;
  }

  /** Makes room for a frame with strings, at the most it can need. */
  private fits(fixedBytes: number, count: number, textBytes: number): boolean {
    const most = fixedBytes + 2 + 5 * count + textBytes;
    if (count > STRINGS_COUNT_MAX || most > wire.HEAD_BYTES_MAX) return false;
    this.reserve(most);
    return true;
  }

  private finish(start: number, at: number, text: string, stream: number, type: number): void {
    this.length = text === '' ? at : at + writeLatin1(this.buffer, text, at);
    putHeader(this.buffer, start, this.length - start - wire.FRAME_HEADER_BYTES, type, stream);
    this.lastAt = start;
    this.lastStream = stream;
    this.lastIsData = false;
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    this.grow(bytes);
  }

  /** What is sealed stays where it is. The last frame, if a piece is about to be joined to it, is not. */
  private grow(bytes: number): void {
    const { buffer, sealedLength } = this;
    const rest = this.length - sealedLength;
    this.buffer = Buffer.allocUnsafeSlow(Math.max(rest + bytes, 2 * buffer.length));
    buffer.copy(this.buffer, 0, sealedLength, this.length);
    this.lastAt -= sealedLength;
    this.length = rest;
    this.sealedLength = 0;
  }
}

const none: string[] = [];

function encoded(shared: SharedFields): EncodedFields {
  if (shared.encoded !== null) return shared.encoded;
  const { fields } = shared;
  const lengths = Buffer.allocUnsafe(5 * fields.length);
  const end = putLengths(lengths, 0, fields);
  const text = ownCopy(Buffer.from(fields.join(''), 'latin1'));
  shared.encoded = { lengths: ownCopy(lengths.subarray(0, end)), text };
  return shared.encoded;
}

// By hand, not buffer.writeUInt16LE and the like: those check type and range on each call, and
// throw, at 5 to 10 times the cost. Stores into a byte array keep the low 8 bits by themselves.

function putHeader(
  buffer: Buffer,
  at: number,
  length: number,
  typeAndFlags: number,
  stream: number,
): void {
  buffer[at] = length;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length >>> 16;
  buffer[at + 3] = typeAndFlags;
  putU32(buffer, at + 4, stream);
}

function putU16(buffer: Buffer, at: number, value: number): number {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  return at + 2;
}

function putU32(buffer: Buffer, at: number, value: number): number {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
  return at + 4;
}

function putLength(buffer: Buffer, at: number, length: number): number {
  if (length < LONG_STRING) {
    buffer[at] = length;
    return at + 1;
  }
  buffer[at] = LONG_STRING;
  return putU32(buffer, at + 1, length);
}

function putLengths(buffer: Buffer, at: number, strings: string[]): number {
  let next = at;
  for (let index = 0; index < strings.length; index++)
    next = putLength(buffer, next, strings[index]!.length);
  return next;
}

/** Names in certificates and SNI may be any Unicode; everything else on the link is latin1. */
function utf8AsLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
