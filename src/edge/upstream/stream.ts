// One request on its way to an HTTP upstream, as the balancer sees it: the same face that a stream of the link has.

import { type Failure, failure } from '../../errors/failure.ts';
import type { BodyLength, Fields } from '../../http/exchange.ts';
import { CHUNK_END, chunkHead, lastChunk } from '../../http/response-head.ts';
import type { LinkObserver, LinkRequest, LinkStream } from '../../link/link.ts';
import type { HttpConnection } from './connection.ts';

/** Response content that is taken ahead of what the client takes, as on the link: a slow client holds no worker. */
const WINDOW_BYTES = 256 * 1024;
/** How long a client that waits for 100 (Continue) is left waiting for an upstream that does not say it. */
const CONTINUE_MS = 1_000;

export class HttpStream implements LinkStream {
  readonly method: string;
  /** Head and content given to the socket. */
  handedBytes = 0;
  /** All of the request has been given to the socket. */
  isSentWhole: boolean;
  answered = false;

  private readonly observer: LinkObserver;
  private readonly onOver: () => void;
  private connection: HttpConnection | null = null;
  /** The observer is told nothing more. */
  private isOver = false;
  private readonly bodyLength: BodyLength;
  /** Content given to the socket. */
  private sentBytes = 0;
  /** Response content the client has not taken. */
  private heldBytes = 0;
  private continueTimer: NodeJS.Timeout | null = null;
  private awaitsContinue: boolean;

  constructor(request: LinkRequest, observer: LinkObserver, onOver: () => void) {
    this.method = request.request.method;
    this.bodyLength = request.bodyLength;
    this.isSentWhole = request.bodyLength === 0;
    this.awaitsContinue = request.expectsContinue && request.bodyLength !== 0;
    this.observer = observer;
    this.onOver = onOver;
  }

  /** Sends the head, on a connection of its own or one that is idle. */
  begin(connection: HttpConnection, head: string): void {
    this.connection = connection;
    this.handedBytes = head.length;
    connection.begin(this, head, this.isSentWhole);
    if (this.awaitsContinue)
      this.continueTimer = setTimeout(() => this.gotInform(100, []), CONTINUE_MS);
  }

  /** It gets no connection: the observer hears so, but not while it still calls open(). */
  refuseLater(reason: Failure): void {
    process.nextTick(() => this.failed(reason, false));
  }

  // ── from the balancer

  write(chunk: Uint8Array): void {
    const { connection } = this;
    const bytes = chunk.length;
    if (this.isOver || this.isSentWhole || connection === null || bytes === 0) return;
    this.sentBytes += bytes;
    this.handedBytes += bytes;
    const { socket } = connection;
    const taken = (error?: Error | null): void => {
      if (!error && !this.isOver) this.observer.onConsumed(bytes);
    };
    if (this.bodyLength !== 'unknown') {
      // More than was announced would be the next request.
      if (this.sentBytes > this.bodyLength) this.breakOff('more content than announced');
      else socket.write(chunk, taken);
      return;
    }
    socket.cork();
    socket.write(chunkHead(bytes), 'latin1');
    socket.write(chunk);
    socket.write(CHUNK_END, 'latin1', taken);
    process.nextTick(() => socket.uncork());
  }

  end(trailers: Fields): void {
    const { connection } = this;
    if (this.isOver || this.isSentWhole || connection === null) return;
    if (this.bodyLength === 'unknown') {
      this.isSentWhole = true;
      connection.socket.write(lastChunk(trailers), 'latin1');
    } else if (this.sentBytes === this.bodyLength) this.isSentWhole = true;
    else this.breakOff('less content than announced');
  }

  consumed(bytes: number): void {
    if (this.isOver) return;
    this.heldBytes = Math.max(0, this.heldBytes - bytes);
    if (2 * this.heldBytes <= WINDOW_BYTES) this.connection?.resume();
  }

  cancel(): void {
    if (this.settle()) this.connection?.drop();
  }

  // ── from the connection

  gotInform(status: number, fields: Fields): void {
    if (this.isOver) return;
    if (status !== 100) {
      this.observer.onInform(status, fields);
      return;
    }
    // Said once, and only to who waits for it.
    if (!this.awaitsContinue) return;
    this.stopWaiting();
    this.observer.onInform(100, []);
  }

  gotResponse(status: number, reason: string, fields: Fields): void {
    this.answered = true;
    this.stopWaiting();
    if (!this.isOver) this.observer.onResponse(status, reason, fields);
  }

  gotData(chunk: Buffer): void {
    if (this.isOver) return;
    this.heldBytes += chunk.length;
    if (this.heldBytes > WINDOW_BYTES) this.connection?.pause();
    this.observer.onData(chunk);
  }

  ended(trailers: Fields): void {
    if (this.settle()) this.observer.onEnd(trailers);
  }

  failed(reason: Failure, reached: boolean): void {
    if (this.settle()) this.observer.onFailed(reason, reached);
  }

  // ── within

  /** False: it was over. */
  private settle(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.stopWaiting();
    this.onOver();
    return true;
  }

  private stopWaiting(): void {
    this.awaitsContinue = false;
    if (this.continueTimer !== null) clearTimeout(this.continueTimer);
    this.continueTimer = null;
  }

  /** Who made the request broke its promise; the upstream must not take what follows for another one. */
  private breakOff(detail: string): void {
    this.connection?.close(failure('EDGE_FAULT', detail));
  }
}
