// An HTTP/2 client for tests: requests with node:http2, and connections on which a test sends frames by hand.

import * as http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Watchers } from './watchers.ts';

const DEADLINE_MS = 10_000;

export interface Http2Response {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly informational: readonly http2.IncomingHttpHeaders[];
  readonly body: string;
  readonly trailers: http2.IncomingHttpHeaders;
  /** The error code of RST_STREAM, 0 where the stream ended well. */
  readonly resetCode: number;
}

export interface Http2Ask {
  readonly headers?: http2.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly trailers?: http2.OutgoingHttpHeaders;
}

/** A session over h2c that ends with the test. */
export function h2c(
  t: TestContext,
  port: number,
  options?: http2.ClientSessionOptions,
): http2.ClientHttp2Session {
  return open(t, `http://127.0.0.1:${port}`, options);
}

/** The same over TLS, whatever the certificate. */
export function h2(t: TestContext, port: number): http2.ClientHttp2Session {
  return open(t, `https://127.0.0.1:${port}`, { rejectUnauthorized: false });
}

function open(
  t: TestContext,
  origin: string,
  options?: http2.ClientSessionOptions | http2.SecureClientSessionOptions,
): http2.ClientHttp2Session {
  const session = http2.connect(origin, options);
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

/** Sends one request and reads all of its answer; a reset resolves too. */
export async function ask(
  session: http2.ClientHttp2Session,
  path: string,
  { headers = {}, body, trailers }: Http2Ask = {},
): Promise<Http2Response> {
  const hasBody = body !== undefined;
  const stream = session.request(
    { ':path': path, ...(hasBody ? { ':method': 'POST' } : {}), ...headers },
    { endStream: !hasBody && trailers === undefined, waitForTrailers: trailers !== undefined },
  );
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  if (hasBody) stream.end(body);
  else if (trailers !== undefined) stream.end();
  return answerOf(stream);
}

export async function answerOf(stream: http2.ClientHttp2Stream): Promise<Http2Response> {
  const informational: http2.IncomingHttpHeaders[] = [];
  let received: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on('error', () => {});
  stream.on('headers', (fields) => informational.push(fields));
  stream.on('response', (fields) => {
    received = fields;
  });
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`stream ${stream.id} did not end in ${DEADLINE_MS} ms`));
    }, DEADLINE_MS);
    stream.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return {
    status: Number(received[':status'] ?? 0),
    headers: received,
    informational,
    body: Buffer.concat(chunks).toString('latin1'),
    trailers,
    resetCode: stream.rstCode ?? 0,
  };
}

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Fields as literals without indexing and without Huffman coding (RFC 7541 section 6.2.2). */
export function block(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < fields.length; at += 2)
    parts.push(Buffer.from([0]), literal(fields[at]!), literal(fields[at + 1]!));
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export const get = (path = '/') =>
  block([':method', 'GET', ':scheme', 'http', ':path', path, ':authority', 'a']);
export const post = (...more: string[]) =>
  block([':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'a', ...more]);

/** Sends frames byte by byte as a test wants them, and reads frames. */
export class FrameClient {
  readonly socket: Socket;
  /** All that came, in order. */
  readonly frames: Frame[] = [];
  isClosed = false;
  private rest = Buffer.alloc(0);
  private readonly watchers = new Watchers();

  constructor(t: TestContext, port: number, { settings = true } = {}) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (chunk: Buffer) => this.take(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.wake();
    });
    if (settings) this.send(PREFACE, frame(SETTINGS, 0, 0));
    t.after(() => this.socket.destroy());
  }

  send(...pieces: (string | Uint8Array)[]): this {
    for (const piece of pieces) this.socket.write(piece);
    return this;
  }

  private take(chunk: Buffer): void {
    let rest = Buffer.concat([this.rest, chunk]);
    while (rest.length >= 9) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) break;
      this.frames.push({
        type: rest[3]!,
        flags: rest[4]!,
        stream: rest.readUInt32BE(5) & 0x7fffffff,
        payload: rest.subarray(9, 9 + length),
      });
      rest = rest.subarray(9 + length);
    }
    this.rest = rest;
    this.wake();
  }

  private wake(): void {
    this.watchers.tell();
  }

  /** The first frame that fits, now or later. */
  frame(what: string, fits: (frame: Frame) => boolean): Promise<Frame> {
    return this.until(what, () => this.frames.find(fits) ?? null);
  }

  /** The error code of the last GOAWAY, once the connection has closed. */
  async goaway(): Promise<number | null> {
    await this.closed();
    const last = this.frames.filter(({ type }) => type === GOAWAY).at(-1);
    return last?.payload.readUInt32BE(4) ?? null;
  }

  /** The error code of the stream's RST_STREAM. */
  async reset(stream: number): Promise<number> {
    const found = await this.frame(
      `RST_STREAM of ${stream}`,
      (one) => one.type === RST_STREAM && one.stream === stream,
    );
    return found.payload.readUInt32BE(0);
  }

  /** Content of the stream so far. */
  content(stream: number): string {
    return this.frames
      .filter((one) => one.type === DATA && one.stream === stream)
      .map(({ payload }) => payload.toString('latin1'))
      .join('');
  }

  /** The stream's answer is whole. */
  answered(stream: number): Promise<Frame> {
    return this.frame(
      `the end of stream ${stream}`,
      (one) =>
        one.stream === stream &&
        (one.type === DATA || one.type === HEADERS) &&
        (one.flags & END_STREAM) !== 0,
    );
  }

  closed(): Promise<true> {
    return this.until('the end of the connection', () => this.isClosed || null);
  }

  until<T>(what: string, probe: () => T | null): Promise<T> {
    const report = () =>
      `no ${what}; frames ${this.frames.map((one) => `${one.type}/${one.flags}/${one.stream}`).join(' ')}`;
    return this.watchers.until(probe, { deadlineMs: DEADLINE_MS, report });
  }
}
