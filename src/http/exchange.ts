// The one type the middle of Portico knows: a request and the way to answer it.
//
// A listener (HTTP/1.1, later HTTP/2) or the worker's end of the link makes an Exchange and hands
// it on; a handler (static files, the app pool, the Node adapter) answers it. Neither knows the
// other. All calls happen on one event loop; no method throws for what a peer does.
//
//   maker                                  handler
//   ─────                                  ───────
//   handle(exchange)                 ──▶   exchange.attach(handler), exactly once, synchronously or later
//   handler.onRequestData/End        ──▶   exchange.consumed(bytes) as the data is dealt with
//                                    ◀──   exchange.inform()*  respond()  write()*  end()
//   handler.onDrain                  ──▶   after a write() that returned false
//   handler.onClose(failure | null)  ──▶   last call, always, exactly once after attach

import type { Failure } from '../errors/failure.ts';
import type { CompiledRules } from './header-rules.ts';
import type { PreparedHead } from './prepared-head.ts';
import type { RepeatedFields, SharedFields } from './repeated-fields.ts';

/** Field names and values in turn, in the order and spelling received: [name, value, name, value]. */
export type Fields = string[];

/** HTTP version of the client's request, as in its start line ("2.0" for HTTP/2). */
export type HttpVersion = '1.0' | '1.1' | '2.0';

export interface RequestHead {
  /** Case-sensitive token (RFC 9110 section 9.1). */
  readonly method: string;
  /** Origin-form or asterisk-form, or authority-form for CONNECT (RFC 9112 section 3.2).
   *  An absolute-form target has been reduced to origin-form and its authority put into Host. */
  readonly target: string;
  readonly version: HttpVersion;
  /** Latin-1 strings: one character is one byte on the wire. Validated: no CR, LF, NUL or other
   *  control byte but tab. */
  readonly fields: Fields;
  /** Where these very `fields` came before on the connection: what is known of them already. */
  readonly repeats?: RepeatedFields | null;
  /** Where other requests have these very `fields` as well. */
  readonly shared?: SharedFields | null;
}

/** How the request's content is framed: none, so many bytes, or unknown until it ends. */
export type BodyLength = number | 'unknown';

/** Facts about the TLS connection the request came over. */
export interface TlsFacts {
  readonly protocol: string; // "TLSv1.3"
  readonly cipher: string;
  readonly serverName: string | null;
  readonly clientCertificate: ClientCertificateFacts | null;
}

export interface ClientCertificateFacts {
  readonly subject: string;
  readonly fingerprint256: string;
  readonly verified: boolean;
}

/** Who asked, over what. After trusted X-Forwarded-* fields were applied, this is the client as
 *  the nearest trusted proxy saw it; `peerAddress` is always the socket's. */
export interface ClientFacts {
  /** IP address without brackets or zone; '' for a Unix socket. */
  readonly address: string;
  /** 0 where unknown. */
  readonly port: number;
  readonly peerAddress: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly scheme: 'http' | 'https';
  readonly tls: TlsFacts | null;
}

/** Who answers: hears the request's content and the end of the exchange. */
export interface ExchangeHandler {
  /** A piece of request content. The handler owns the bytes until it calls consumed(). */
  onRequestData(chunk: Uint8Array): void;
  /** The request is complete. Called also when there is no content. */
  onRequestEnd(trailers: Fields): void;
  /** There is room again after write() returned false. */
  onDrain(): void;
  /** The exchange is over: null when the answer was sent whole, else why not. Nothing is called
   *  after it, and what the handler still sends is thrown away. */
  onClose(failure: Failure | null): void;
}

export interface Exchange {
  /** As received; a step of the edge may replace it (rewrites). */
  request: RequestHead;
  /** As the socket says; the edge's first step replaces it where the peer is a trusted proxy. */
  client: ClientFacts;
  /** Content still to come; 0 means onRequestEnd follows at once. */
  readonly bodyLength: BodyLength;
  /** The client waits for 100 (Continue) before it sends content (RFC 9110 section 10.1.1).
   *  inform(100, []) sends it, and so does the first consumed() with any number, so a handler that
   *  refuses early never asks for the content. */
  readonly expectsContinue: boolean;
  /** Upgrade, if Connection names it and this maker's connection could speak another protocol. */
  readonly upgrade?: string | null;
  /** Name of this request in logs and in X-Request-Id. */
  requestId: string;
  /** What is written to the access log when the exchange settles. Handlers fill in their part. */
  readonly record: ExchangeRecord;

  /** What the client's maker changes of the fields of its answer, whoever gives it. */
  responseRules?: CompiledRules | null;

  /** Takes the exchange on: content starts to flow, and `handler` will hear its end. */
  attach(handler: ExchangeHandler): void;
  /** So many bytes of content have been dealt with: the maker may send as many more.
   *  consumed(0) says only that the handler wants the content. */
  consumed(bytes: number): void;

  /** Sends an informational response, 100 to 199 but 101 (RFC 9110 section 15.2). Dropped for HTTP/1.0. */
  inform(status: number, fields: Fields): void;
  /** Sends the response head. `fields` as the handler wants them: the maker removes hop-by-hop
   *  fields and decides the framing; a Content-Length in `fields` is a promise that is kept or the
   *  response is cut. `reason` '' means the standard phrase. Once only. */
  respond(status: number, reason: string, fields: Fields): void;
  /** respond() with a head that was made before; adds X-Request-Id. Only makers that gain by it
   *  have it, and a wrapper that looks at responses must not: then respond() is called. */
  respondPrepared?(head: PreparedHead): void;
  /** Only where this is true: once write() of 64 KiB or more has returned true, or onDrain was
   *  called, nobody looks at the bytes any more, and the handler may use their memory again. */
  readonly releasesBytes?: boolean;
  /** Sends content. The callee owns the bytes. False: wait for onDrain (what was given is kept). */
  write(chunk: Uint8Array): boolean;
  /** Only where this is true, after respond(): lend() and sendFileOn() are worth a try. */
  readonly sendsFiles?: boolean;
  /** write() of as many bytes as the kernel takes now without a copy; gives their number. They must never change. */
  lend?(bytes: Uint8Array): number;
  /** Sends a part of an open file out of the kernel's own memory, and goes on as the client takes it. Gives how much it took at
   *  once; -1: it can't be. Unless it gives that or all of the part, nothing is to be written until `onSent` has said, once and
   *  later, how much more was sent: less than all where the rest is not in memory or not there. The descriptor may be closed in
   *  onClose(). */
  sendFileOn?(part: FilePart, onSent: (bytes: number) => void): number;
  /** Ends the response; `trailers` are sent where the framing allows them, else dropped. */
  end(trailers: Fields): void;
  /** Ends the exchange now: with the failure's own answer if no head was sent, else by cutting the
   *  response so that the client sees it is incomplete. May be called twice. */
  fail(failure: Failure): void;
}

/** The facts of one exchange for access log and metrics. Times in ms of one monotonic clock
 *  (performance.now()); 0 = did not happen. */
export interface ExchangeRecord {
  startedMs: number;
  /** When a worker was claimed (queue time = claimed - started). */
  claimedMs: number;
  /** When the response head was ready. */
  respondedMs: number;
  status: number;
  /** Response content on the wire, without head and framing. */
  responseBytes: number;
  /** Request content. */
  requestBytes: number;
  /** "worker 2", "static", "" … */
  upstream: string;
  /** Name of the route that took it; '' for none. */
  route: string;
  /** Times the request was sent to another worker. */
  retries: number;
  failure: Failure | null;
}

/** Bytes of an open file, from `offset` on. */
export interface FilePart {
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  /** For so many ms from now on nobody need look whether it is in memory: 0 = always. */
  readonly believedMs: number;
}

/** A step that takes an exchange and answers it. */
export type Handle = (exchange: Exchange) => void;
