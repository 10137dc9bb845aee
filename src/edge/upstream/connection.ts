// One HTTP/1.1 connection to an upstream: it carries one request at a time, and another only if nothing about
// the last one was odd.
//
//   connecting → busy ⟲ idle → closed, from any

import type { Socket } from 'node:net';
import { type Failure, failure } from '../../errors/failure.ts';
import type { Fields } from '../../http/exchange.ts';
import {
  type ReceivedHead,
  type ResponseEvents,
  ResponseParser,
} from '../../http/response-parser.ts';
import { dial, type HttpAddress, kept } from './dial.ts';
import { connectFailure } from './failures.ts';
import type { HttpStream } from './stream.ts';

/** What a connection needs of its link. */
export interface ConnectionOwner {
  readonly address: HttpAddress;
  /** May carry another request. */
  onIdle(connection: HttpConnection): void;
  /** It has never been one: `reason`. */
  onRefused(connection: HttpConnection, reason: Failure): void;
  onConnected(connection: HttpConnection): void;
  /** Last call. `wasStale`: it was kept, and the peer had closed it when the next request came. */
  onClosed(connection: HttpConnection, wasStale: boolean): void;
  /** Something for the operator: the upstream did what no upstream should. */
  onOddity(detail: string): void;
}

/** Bytes that, given to the kernel at once on a connection that waits for nothing, are taken whole or not at all. */
const ATOMIC_BYTES = 16 * 1024;

export class HttpConnection implements ResponseEvents {
  readonly socket: Socket;
  isConnected = false;
  isClosed = false;
  /** Without request it is kept until then. */
  idleUntilMs = Number.POSITIVE_INFINITY;
  stream: HttpStream | null = null;
  keepAliveSeconds: number | null = null;

  private isPaused = false;
  /** Requests so far. */
  private served = 0;
  /** Reads since the request, and what the sweep knew of them. */
  private reads = 0;
  private readsBefore = -1;
  private quietSinceMs = 0;
  private readonly owner: ConnectionOwner;
  private readonly parser = new ResponseParser(this);
  private readonly timer: NodeJS.Timeout;
  private error: NodeJS.ErrnoException | null = null;
  /** Why it never was a connection. */
  private refused: Failure | null = null;
  /** The error of a write, before which nothing of the request had left. */
  private nothingLeft = false;
  private headLeft = false;
  private head: ReceivedHead | null = null;
  /** The response has ended, with these. */
  private trailers: Fields | null = null;
  /** Its handle takes a write that goes past the stream's queue. */
  private readonly takesDirect: boolean;
  private readonly onHeadLeft = (error?: Error | null): void => {
    if (error) this.socket.destroy(error);
    else this.headLeft = true;
  };

  /** `preface` is said first, before TLS. */
  constructor(owner: ConnectionOwner, connectTimeoutMs: number, preface: string) {
    this.owner = owner;
    const { address } = owner;
    const socket = dial(address, preface, (chunk) => this.onBytes(chunk));
    this.socket = socket;
    const isTls = address.kind === 'tcp' && address.tls !== null;
    this.takesDirect = !isTls;
    socket.once(isTls ? 'secureConnect' : 'connect', () => this.onConnect());
    socket.on('end', () => this.onPeerEnd());
    socket.on('error', (error: NodeJS.ErrnoException) => this.onError(error));
    socket.on('close', () => this.onSocketClosed());
    this.timer = setTimeout(() => {
      this.refused = failure('UPSTREAM_TIMEOUT', `no connection in ${connectTimeoutMs} ms`);
      this.close(null);
    }, connectTimeoutMs);
  }

  /** Puts a request on it; only when it is idle, or has just been made. */
  begin(stream: HttpStream, head: string, isWhole: boolean): void {
    this.stream = stream;
    this.served++;
    this.headLeft = false;
    this.head = null;
    this.trailers = null;
    this.reads = 0;
    this.readsBefore = -1;
    this.parser.expect(stream.method);
    const { socket } = this;
    // A request that is one write: the kernel nearly always takes it at once, and the queue would cost a
    // twentieth of the edge's time for nothing.
    if (isWhole && this.takesDirect && this.isConnected && socket.writableLength === 0) {
      socket._write(head, 'latin1', this.onHeadLeft);
      return;
    }
    if (!isWhole) {
      // Content that is at hand goes out with the head.
      socket.cork();
      process.nextTick(uncork, socket);
    }
    socket.write(head, 'latin1', this.onHeadLeft);
  }

  pause(): void {
    if (this.isPaused || this.isClosed) return;
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.isPaused || this.isClosed) return;
    this.isPaused = false;
    this.readsBefore = -1;
    this.socket.resume();
  }

  /** Nobody waits for the response any more. */
  drop(): void {
    this.stream = null;
    this.close(null);
  }

  /** It carries no request, and is not to: ends behind what was written. */
  retire(): void {
    this.socket.destroySoon();
  }

  /** In the midst of a response, with room for more, nothing has come for so long. To be asked now and then. */
  isSilent(nowMs: number, limitMs: number): boolean {
    const isWaiting = this.head !== null && !this.isPaused;
    if (!isWaiting || this.reads !== this.readsBefore) {
      this.readsBefore = this.reads;
      this.quietSinceMs = nowMs;
      return false;
    }
    return nowMs - this.quietSinceMs >= limitMs;
  }

  /** Ends it now; the request on it, if any, hears `reason`. */
  close(reason: Failure | null): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.timer);
    this.socket.destroy();
    const { stream } = this;
    this.stream = null;
    const isStale = stream !== null && this.served > 1 && this.reads === 0;
    const { refused } = this;
    if (refused !== null) this.owner.onRefused(this, refused);
    this.owner.onClosed(this, isStale);
    if (stream === null) return;
    const reached = this.isConnected && !this.nothingLeft;
    stream.failed(reason ?? refused ?? failure('UPSTREAM_CLOSED', this.closedHow()), reached);
  }

  // ── from the parser

  onInform(status: number, fields: Fields): void {
    this.stream?.gotInform(status, fields);
  }

  onHead(head: ReceivedHead): void {
    this.head = head;
    this.keepAliveSeconds = head.keepAliveSeconds;
    this.stream?.gotResponse(head.status, head.reason, head.fields);
  }

  onData(chunk: Buffer): void {
    this.stream?.gotData(kept(chunk));
  }

  onEnd(trailers: Fields): void {
    this.trailers = trailers;
  }

  // ── from the socket

  private onConnect(): void {
    if (this.isClosed) return;
    this.isConnected = true;
    clearTimeout(this.timer);
    this.owner.onConnected(this);
  }

  private onSocketClosed(): void {
    if (!this.isConnected && !this.isClosed) this.refused = connectFailure(this.error);
    this.close(null);
  }

  private onBytes(chunk: Buffer): void {
    if (this.isClosed) return;
    this.reads++;
    const { parser } = this;
    if (this.stream === null) {
      // Some servers say 408 before they close an idle connection; whatever it is, it answers no request.
      this.close(null);
      return;
    }
    const at = parser.push(chunk);
    if (this.stream === null) return; // cancelled meanwhile
    if (parser.failure !== null) {
      this.close(parser.failure);
      return;
    }
    if (this.trailers !== null) this.finish(at < chunk.length);
  }

  private finish(hasMore: boolean): void {
    const { stream, trailers, head, socket } = this;
    if (stream === null || trailers === null) return;
    if (hasMore) this.owner.onOddity('it sent bytes after the end of its response');
    const isClean =
      !hasMore &&
      head!.keepAlive &&
      stream.isSentWhole &&
      this.headLeft &&
      socket.writableLength === 0;
    this.stream = null;
    // Who hears of the end may send the next request in the same turn: by then it must be known where.
    if (isClean) {
      this.resume();
      this.owner.onIdle(this);
    } else this.close(null);
    stream.ended(trailers);
  }

  private onPeerEnd(): void {
    if (this.isClosed) return;
    if (this.stream !== null && this.parser.endOfInput()) this.finish(false);
    else this.close(null);
  }

  private onError(error: NodeJS.ErrnoException): void {
    this.error = error;
    // A peer that had closed before the first byte: it can't have seen any.
    this.nothingLeft =
      error.syscall === 'write' &&
      !this.headLeft &&
      this.reads === 0 &&
      (this.stream?.handedBytes ?? 0) <= ATOMIC_BYTES;
  }

  private closedHow(): string {
    const code = this.error?.code ?? '';
    const how = code === '' ? 'it closed the connection' : `the connection broke (${code})`;
    if (this.head !== null) return `${how} in the midst of its response`;
    return this.reads > 0 ? `${how} in the midst of a response head` : `${how} without a response`;
  }
}

function uncork(socket: Socket): void {
  socket.uncork();
}
