// What the first bytes of a connection to a TLS port are, and what a ClientHello asks for. Pure.

/** RFC 8446 section 5.1: header, and 2^14 bytes at most. */
const RECORD_HEADER_BYTES = 5;
const RECORD_BYTES_MAX = 16_384;
const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;

/** What a client names in the clear. */
export interface HelloFacts {
  readonly serverName: string | null;
  /** By ALPN, in the client's order; empty = it does not speak ALPN. */
  readonly protocols: readonly string[];
}

/**
 * partial: more bytes are needed. hello: the first record is there; its facts are null where they can't be
 * read (it goes on in a second record, or is malformed), and OpenSSL says what there is to say about it.
 */
export type FirstBytes =
  | { readonly kind: 'partial' | 'http' | 'other' }
  | { readonly kind: 'hello'; readonly facts: HelloFacts | null };

export function readFirstBytes(bytes: Uint8Array): FirstBytes {
  const first = bytes[0];
  if (first === undefined) return { kind: 'partial' };
  // No method begins otherwise, and no TLS record has such a type.
  if (first >= 0x41 && first <= 0x5a) return { kind: 'http' };
  if (first !== HANDSHAKE) return { kind: 'other' };
  if (bytes.length >= 2 && bytes[1] !== 3) return { kind: 'other' };
  if (bytes.length < RECORD_HEADER_BYTES) return { kind: 'partial' };
  const length = bytes[3]! * 256 + bytes[4]!;
  if (length === 0 || length > RECORD_BYTES_MAX) return { kind: 'other' };
  if (bytes.length < RECORD_HEADER_BYTES + length) return { kind: 'partial' };
  const record = new Reader(bytes, RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
  return { kind: 'hello', facts: helloFacts(record) };
}

/** RFC 8446 section 4.1.2; the same in TLS 1.2. */
function helloFacts(record: Reader): HelloFacts | null {
  if (record.number(1) !== CLIENT_HELLO) return null;
  const hello = record.part(3);
  if (hello === null) return null;
  // Version and random; then session id, cipher suites, compression methods.
  if (hello.number(2) < 0 || !hello.skip(32)) return null;
  if (hello.part(1) === null || hello.part(2) === null || hello.part(1) === null) return null;
  const extensions = hello.part(2);
  let serverName: string | null = null;
  let protocols: string[] = [];
  while (extensions !== null && !extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.part(2);
    if (type < 0 || data === null) return null;
    if (type === SERVER_NAME) serverName = firstName(data);
    else if (type === ALPN) {
      const list = protocolList(data);
      if (list === null) return null;
      protocols = list;
    }
  }
  return { serverName, protocols };
}

/** RFC 6066 section 3. */
function firstName(data: Reader): string | null {
  const list = data.part(2);
  if (list === null || list.number(1) !== 0) return null;
  return list.part(2)?.text() ?? null;
}

/** RFC 7301 section 3.1. */
function protocolList(data: Reader): string[] | null {
  const list = data.part(2);
  const protocols: string[] = [];
  while (list !== null && !list.isAtEnd) {
    const name = list.part(1)?.text();
    if (name === undefined) return null;
    protocols.push(name);
  }
  return list === null ? null : protocols;
}

class Reader {
  private readonly bytes: Uint8Array;
  private at: number;
  private readonly end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  /** Of so many bytes; -1 where there are fewer. */
  number(size: number): number {
    if (this.at + size > this.end) return -1;
    let value = 0;
    for (let count = 0; count < size; count++) value = value * 256 + this.bytes[this.at++]!;
    return value;
  }

  skip(size: number): boolean {
    if (this.at + size > this.end) return false;
    this.at += size;
    return true;
  }

  /** What stands behind its length, which is of so many bytes; null where it is cut. */
  part(sizeOfLength: number): Reader | null {
    const length = this.number(sizeOfLength);
    const from = this.at;
    if (length < 0 || !this.skip(length)) return null;
    return new Reader(this.bytes, from, this.at);
  }

  text(): string {
    const { bytes, at, end } = this;
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1');
  }
}
