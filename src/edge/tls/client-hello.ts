// What the first bytes of a connection to a TLS port are, and what a ClientHello asks for. Pure.

/** RFC 8446 section 5.1: header, and 2^14 bytes at most. */
const RECORD_HEADER_BYTES = 5;
const RECORD_BYTES_MAX = 16_384;
const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const STATUS_REQUEST = 5;
const ALPN = 16;
const SIGNATURE_ALGORITHMS = 13;
const SUPPORTED_VERSIONS = 43;
const SIGNATURE_ALGORITHMS_CERT = 50;

/** What a client names in the clear. */
export interface HelloFacts {
  readonly serverName: string | null;
  /** By ALPN, in the client's order; empty = it does not speak ALPN. */
  readonly protocols: readonly string[];
  /** It takes a stapled OCSP response. */
  readonly asksForStaple: boolean;
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
  const lists = helloLists(record);
  if (lists === null) return null;
  const { extensions } = lists;
  let serverName: string | null = null;
  let protocols: string[] = [];
  let asksForStaple = false;
  while (extensions !== null && !extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.part(2);
    if (type < 0 || data === null) return null;
    if (type === SERVER_NAME) serverName = firstName(data);
    // Of type ocsp (RFC 6066 section 8).
    else if (type === STATUS_REQUEST) asksForStaple = data.number(1) === 1;
    else if (type === ALPN) {
      const list = protocolList(data);
      if (list === null) return null;
      protocols = list;
    }
  }
  return { serverName, protocols, asksForStaple };
}

/** What the client offers; `extensions` null = none at all. */
function helloLists(record: Reader): { suites: Reader; extensions: Reader | null } | null {
  if (record.number(1) !== CLIENT_HELLO) return null;
  const hello = record.part(3);
  if (hello === null) return null;
  // Version and random; then session id, cipher suites, compression methods.
  if (hello.number(2) < 0 || !hello.skip(32) || hello.part(1) === null) return null;
  const suites = hello.part(2);
  if (suites === null || hello.part(1) === null) return null;
  return { suites, extensions: hello.part(2) };
}

/** Of a ClientHello that was read before: what the choice of a certificate depends on. */
export interface HelloOffers {
  readonly suites: ReadonlySet<number>;
  /** signature_algorithms. */
  readonly schemes: ReadonlySet<number>;
  /** For the signatures in certificates there is a list of its own (signature_algorithms_cert). */
  readonly hasCertSchemes: boolean;
  readonly versions: ReadonlySet<number>;
}

export function readHelloOffers(bytes: Uint8Array): HelloOffers | null {
  const lists = helloLists(new Reader(bytes, RECORD_HEADER_BYTES, bytes.length));
  if (lists === null) return null;
  const { extensions } = lists;
  let schemes = new Set<number>();
  let versions = new Set<number>();
  let hasCertSchemes = false;
  while (extensions !== null && !extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.part(2);
    if (type < 0 || data === null) return null;
    if (type === SIGNATURE_ALGORITHMS) schemes = pairs(data.part(2));
    else if (type === SUPPORTED_VERSIONS) versions = pairs(data.part(1));
    else if (type === SIGNATURE_ALGORITHMS_CERT) hasCertSchemes = true;
  }
  return { suites: pairs(lists.suites), schemes, hasCertSchemes, versions };
}

/** Numbers of two bytes. */
function pairs(list: Reader | null): Set<number> {
  const numbers = new Set<number>();
  for (let next = list?.number(2) ?? -1; next >= 0; next = list!.number(2)) numbers.add(next);
  return numbers;
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
