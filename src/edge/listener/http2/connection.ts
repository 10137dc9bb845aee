// One HTTP/2 connection: a session of node:http2, its streams as exchanges, its limits and its end.
//
//   fresh ──first stream──▶ open ──drain(), idle too long──▶ leaving ──no stream left──▶ closed
//     └──────────────────────┴──── flood, protocol error, cut() ─────────────────────────┘

import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { type Failure, failure } from '../../../errors/failure.ts';
import type { ClientFacts, TlsFacts } from '../../../http/exchange.ts';
import { readHttp2Request } from '../../../http/http2-request.ts';
import { HTTP2_WINDOW_BYTES, LINGER_MS } from '../bounds.ts';
import { clientFacts } from '../client-facts.ts';
import type { ConnectionOptions, Hub } from '../hub.ts';
import { Http2Exchange } from './exchange.ts';
import { Guard, handleOf } from './guard.ts';

/** What a session may keep for headers, frames and answers that wait, before it refuses streams. */
const SESSION_MEGABYTES_MAX = 16;
/** The largest response head that is sent; the link lets no larger through. */
const SEND_HEAD_BYTES_MAX = 2 * 1024 * 1024;
/** Frames that only a broken or hostile client sends, such as empty ones without END_STREAM. */
const INVALID_FRAMES_MAX = 256;
/** Heads up to so many times the limits are read, so that they can be answered with 431. */
const HEAD_SLACK = 2;
/** For the client's answer to the PING that follows a GOAWAY. */
const LEAVE_MS = 1_000;
const LAST_STREAM_ID = 2 ** 31 - 1;
/** For the client's answer to the PING that follows a fault of its. */
const PROBE_MS = 1_000;
const NGHTTP2_ERR_PROTO = -505;

type Phase = 'fresh' | 'open' | 'leaving' | 'closed';

/** Why a connection was ended, for the count in the log. */
export type Http2Abuse = 'flood' | 'protocol';

export class Http2Connection {
  readonly hub: Hub;
  facts: ClientFacts | null = null;
  readonly guard: Guard;

  readonly socket: Socket;
  private readonly session: ServerHttp2Session;
  readonly tls: TlsFacts | null;
  readonly isUnix: boolean;
  private readonly exchanges = new Set<Http2Exchange>();
  private phase: Phase = 'fresh';
  /** When fresh, idle or leaving has lasted too long. */
  private deadlineMs: number;
  private isClosing = false;
  private isDestroying = false;
  /** When a client that sent something wrong must have answered a PING; 0 = none was sent. */
  private probeUntilMs = 0;
  /** Why this end ends the connection. */
  private reason: Failure | null = null;

  /** The kernel has taken nothing since. */
  private stuckBytes = 0;
  private stuckSinceMs = 0;

  constructor(hub: Hub, socket: Socket, tls: TlsFacts | null, isUnix: boolean) {
    const options = hub.options();
    const nowMs = performance.now();
    this.hub = hub;
    this.socket = socket;
    this.tls = tls;
    this.isUnix = isUnix;
    this.deadlineMs = nowMs + options.headerTimeoutMs;
    this.guard = new Guard(nowMs);
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.onClosed());
    this.session = performServerHandshake(socket, sessionOptions(options));
    this.listen();
    // Reads are node:http2's from here on, beginning in a tick with what the socket has already. This
    // is for the client's FIN.
    setImmediate(() => socket.resume());
  }

  private listen(): void {
    const { session } = this;
    const destroy = session.destroy;
    session.destroy = (error?: Error | number, code?: number) => {
      if (this.isDestroying || this.isStreamFault(error)) return;
      this.isDestroying = true;
      const named = code ?? this.codeFor(error);
      // Never while nghttp2 is still reading what came: Node 22.23.3 and others end the process when
      // content comes for a stream that a session destroyed meanwhile has not made.
      setImmediate(() => destroy.call(session, error as Error, named));
    };
    session.on('error', () => {});
    session.on('stream', (stream, _fields, flags, raw?: string[]) =>
      this.onStream(stream, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, raw!),
    );
    session.on('ping', () => this.onControl('PING'));
    session.on('remoteSettings', () => this.onControl('SETTINGS'));
  }

  // ── requests ──

  private onStream(stream: ServerHttp2Stream, complete: boolean, raw: readonly string[]): void {
    if (this.isDestroying) {
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    this.facts ??= clientFacts(this);
    if (this.facts === null) {
      this.socket.destroy();
      return;
    }
    const { hub } = this;
    const asked = readHttp2Request(raw, complete, hub.options().limits);
    this.guard.noteFields(asked.bytes);
    if (this.phase === 'fresh') this.phase = 'open';
    const exchange = new Http2Exchange(this, stream, asked, { complete, nowMs: performance.now() });
    this.exchanges.add(exchange);
    hub.requestsInFlight++;
    const { method } = asked.head;
    if (asked.failure !== null) exchange.fail(asked.failure);
    // As in HTTP/1.1. A CONNECT with :protocol (RFC 8441) does not get here: it was not offered.
    else if (method === 'CONNECT' || method === 'TRACE')
      exchange.fail(failure('METHOD_NOT_ALLOWED', `${method} is not served here`));
    else this.handle(exchange);
  }

  private handle(exchange: Http2Exchange): void {
    try {
      this.hub.handle(exchange);
    } catch (error) {
      // A programmer's error in a handler ends this request, not the process with all others.
      this.hub.log.error('fault while a request was read', { error });
      exchange.fail(failure('EDGE_FAULT', '', error));
    }
  }

  onStreamClosed(exchange: Http2Exchange): void {
    if (exchange.isWhole()) {
      this.settle(exchange, null);
      return;
    }
    const { rstCode } = exchange.stream;
    this.settle(exchange, this.reason ?? reasonOf(rstCode));
    if (!this.guard.mayReset(performance.now())) this.calm('more streams were reset than answered');
  }

  settle(exchange: Http2Exchange, reason: Failure | null): void {
    if (!this.exchanges.delete(exchange)) return;
    const { hub } = this;
    hub.requestsInFlight--;
    if (this.exchanges.size === 0 && this.phase === 'open')
      this.deadlineMs = hub.coarseNowMs + hub.sweepMs + hub.options().keepAliveMs;
    exchange.settle(reason);
    hub.onSettled(exchange);
  }

  // ── limits ──

  private onControl(frame: string): void {
    if (!this.guard.mayControl(performance.now())) this.calm(`too many ${frame} frames`);
  }

  /** The client makes too much work: GOAWAY with ENHANCE_YOUR_CALM, and the end. */
  private calm(why: string): void {
    if (this.reason !== null) return;
    this.reason = failure('HTTP2_CALM', why);
    this.noteAbuse('flood', why);
    this.endSession(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /**
   * From Node 22 on a fault in one stream, such as content of another length than announced, ends the
   * session, though nghttp2 has dealt with it: by RST_STREAM, or by GOAWAY where it was a fault of the
   * connection. Which of them, an answer to a PING tells: after a GOAWAY there is none.
   */
  private isStreamFault(error: Error | number | null | undefined): boolean {
    if (typeof error !== 'object' || error === null) return false;
    const { code, errno } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_HTTP2_ERROR' || errno !== NGHTTP2_ERR_PROTO) return false;
    if (this.probeUntilMs !== 0) return true;
    this.probeUntilMs = performance.now() + PROBE_MS;
    setImmediate(() => {
      if (this.isDestroying || this.session.destroyed) return;
      const onAnswer = (failed: Error | null) => {
        if (failed === null) this.probeUntilMs = 0;
      };
      if (!this.session.ping(onAnswer)) this.endSession(constants.NGHTTP2_PROTOCOL_ERROR);
    });
    return true;
  }

  /** What node:http2 ends the session for, by errno of nghttp2 or code of Node. */
  private codeFor(error: Error | number | null | undefined): number | undefined {
    if (typeof error !== 'object' || error === null) return undefined;
    const { errno, code } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_HTTP2_ERROR' && !code?.startsWith('ERR_HTTP2_TOO_MANY')) return undefined;
    const isFlood = code !== 'ERR_HTTP2_ERROR' || floodErrnos.has(errno ?? 0);
    if (this.reason === null) {
      this.reason = failure(isFlood ? 'HTTP2_CALM' : 'HTTP2_STREAM', error.message);
      this.noteAbuse(isFlood ? 'flood' : 'protocol', error.message);
    }
    return isFlood ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_PROTOCOL_ERROR;
  }

  private noteAbuse(kind: Http2Abuse, detail: string): void {
    this.facts ??= clientFacts(this);
    this.hub.noteAbuse(kind, detail, this.facts?.address ?? '');
  }

  /** Ends or answers what has lasted too long, and looks at what the client's bytes were for. */
  sweep(nowMs: number, options: ConnectionOptions): void {
    if (this.phase === 'closed') return;
    for (const exchange of this.exchanges) this.sweepExchange(exchange, nowMs, options);
    if (!this.session.destroyed && !this.isDestroying) this.sweepBytes(nowMs);
    if (this.probeUntilMs !== 0 && nowMs >= this.probeUntilMs) this.giveUp();
    if (this.isStuck(nowMs, options)) this.cut(failure('SEND_TIMEOUT'));
    else if (this.exchanges.size > 0 || nowMs < this.deadlineMs) return;
    else if (this.phase === 'leaving') this.close(LEAVE_MS);
    else this.leave();
  }

  private sweepExchange(exchange: Http2Exchange, nowMs: number, options: ConnectionOptions): void {
    const { stream } = exchange;
    // A client may end a stream with RST_STREAM(NO_ERROR): then node:http2 says no more about it.
    if (stream.closed && !exchange.ended) {
      stream.destroy();
      return;
    }
    const awaitsContent =
      !exchange.complete && !exchange.paused && !exchange.continueWanted && !exchange.ended;
    if (awaitsContent && nowMs - exchange.lastReadMs >= options.bodyTimeoutMs)
      exchange.fail(failure('BODY_TIMEOUT'));
    if (exchange.ended && !exchange.complete && nowMs - exchange.lastReadMs >= LINGER_MS)
      stream.close(constants.NGHTTP2_NO_ERROR);
    const waiting = stream.writableLength;
    // An answer that is all given and whose stream does not close waits too, for window or session.
    const mayWait = waiting > 0 || exchange.ended;
    if (!mayWait || waiting !== exchange.waitingBytes || exchange.waitingSinceMs === 0) {
      exchange.waitingBytes = waiting;
      exchange.waitingSinceMs = nowMs;
    } else if (nowMs - exchange.waitingSinceMs >= options.sendTimeoutMs)
      exchange.cut(failure('SEND_TIMEOUT'), constants.NGHTTP2_CANCEL);
  }

  private sweepBytes(nowMs: number): void {
    let waiting = 0;
    for (const { stream } of this.exchanges) waiting += stream.readableLength;
    if (!this.guard.maySend(this.socket, waiting, nowMs))
      this.calm('too many bytes that carry neither fields nor content');
  }

  /** The connection is no HTTP/2 any more: nghttp2 has said so in a GOAWAY. */
  private giveUp(): void {
    this.probeUntilMs = 0;
    if (this.reason !== null) return;
    this.reason = failure('HTTP2_STREAM', 'the connection broke the protocol');
    this.noteAbuse('protocol', 'a frame broke the protocol');
    this.endSession(constants.NGHTTP2_PROTOCOL_ERROR);
  }

  /** Nothing that waits for the client has left for too long. */
  private isStuck(nowMs: number, options: ConnectionOptions): boolean {
    const waiting = handleOf(this.socket)?.writeQueueSize ?? 0;
    if (waiting === 0 || waiting !== this.stuckBytes) {
      this.stuckBytes = waiting;
      this.stuckSinceMs = nowMs;
      return false;
    }
    return nowMs - this.stuckSinceMs >= options.sendTimeoutMs;
  }

  // ── ending ──

  /**
   * Asks the client to send no more, answers what it has sent, and closes. Two GOAWAYs, as RFC 9113
   * section 6.8 advises: with the first, streams that are on their way still count; once the client
   * has answered a PING sent after it, there are none.
   */
  leave(): void {
    if (this.phase === 'leaving' || this.phase === 'closed') return;
    this.phase = 'leaving';
    const { session } = this;
    this.deadlineMs = performance.now() + LEAVE_MS;
    if (session.destroyed || session.closed) return;
    session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
    session.ping(() => {
      if (!this.isClosing) this.close(LINGER_MS);
    });
  }

  /** The last GOAWAY; the connection ends when its streams have. `graceMs`: for the client to close its
   *  side then; one that does not answer a PING has little need of it. */
  private close(graceMs: number): void {
    if (this.phase === 'closed') return;
    if (this.isClosing) {
      this.socket.destroy();
      return;
    }
    this.isClosing = true;
    this.deadlineMs = performance.now() + graceMs;
    if (!this.session.destroyed) this.session.close();
  }

  /** Ends all where it stands. */
  cut(reason: Failure): void {
    this.reason ??= reason;
    for (const exchange of [...this.exchanges])
      exchange.cut(reason, constants.NGHTTP2_INTERNAL_ERROR);
    this.endSession(constants.NGHTTP2_NO_ERROR);
    // After the GOAWAY has had its chance.
    setImmediate(() => this.socket.destroy());
  }

  /** Node documents an error and a code; but of the two, and of undefined, it takes the number only
   *  where it is the first. */
  private endSession(code: number): void {
    if (!this.session.destroyed) this.session.destroy(code as unknown as Error);
  }

  private onClosed(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    const why = this.reason ?? failure('CLIENT_LEFT');
    for (const exchange of [...this.exchanges])
      this.settle(exchange, exchange.stream.writableFinished && exchange.ended ? null : why);
    this.hub.onHttp2Closed(this);
  }
}

/** NGHTTP2_ERR_FLOODED, _TOO_MANY_SETTINGS, _TOO_MANY_CONTINUATIONS. */
const floodErrnos = new Set([-904, -537, -905]);

/** Why a stream was not answered whole. */
function reasonOf(rstCode: number): Failure {
  if (rstCode === constants.NGHTTP2_NO_ERROR || rstCode === constants.NGHTTP2_CANCEL)
    return failure('CLIENT_LEFT', 'the stream was reset');
  return failure('HTTP2_STREAM', `the stream was reset with code ${rstCode}`);
}

function sessionOptions(options: ConnectionOptions) {
  const { limits } = options;
  return {
    settings: {
      enablePush: false,
      maxConcurrentStreams: options.http2MaxConcurrentStreams,
      initialWindowSize: HTTP2_WINDOW_BYTES,
      maxHeaderListSize: HEAD_SLACK * (65_536 + limits.fieldSizeBytes + limits.requestLineBytes),
    },
    maxHeaderListPairs: HEAD_SLACK * limits.fields + 128,
    // As nginx does: what changes with each answer (Date, X-Request-Id) would push all else out of the
    // table of sent fields, and keeping it costs a tenth of the time of a small answer.
    maxDeflateDynamicTableSize: 0,
    maxSendHeaderBlockLength: SEND_HEAD_BYTES_MAX,
    maxSessionMemory: SESSION_MEGABYTES_MAX,
    maxSessionInvalidFrames: INVALID_FRAMES_MAX,
  };
}
