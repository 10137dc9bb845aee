// What an app gets as req.socket and res.socket: the connection of one exchange, in the shape of a
// net.Socket (a tls.TLSSocket for https), though no bytes can be read from it or written to it.
//
// It is an object of a few fields, not a constructed Duplex: one is made for every request and
// most apps never look at it. Node's own http code calls cork, uncork, resume, destroy, write,
// setTimeout and `_writableState.corked = 1` on it.

import { EventEmitter } from 'node:events';
import net from 'node:net';
import { Duplex, getDefaultHighWaterMark } from 'node:stream';
import type { ClientFacts, ExchangeRecord } from '../http/exchange.ts';

/** What the socket tells the adapter. */
export interface SocketOwner {
  readonly exchange: { readonly client: ClientFacts; readonly record: ExchangeRecord };
  /** Content that the exchange did not take at once, in bytes. */
  readonly pendingBytes: number;
  /** The request's reader wants more. */
  onDemand(): void;
  /** Text written past the response: an informational head, or nothing that can be sent. */
  onRawText(data: string | Uint8Array): boolean;
  onSocketDestroy(error: Error | null): void;
  onSocketEnd(): void;
  onSocketTimeout(): void;
}

/** The parts of stream states that Node and libraries look at, live. */
class StreamState {
  readonly socket: ExchangeSocket;
  /** Set to 1 by Node's end(). */
  corked = 0;
  readonly autoDestroy = true;
  readonly emitClose = true;
  readonly objectMode = false;
  readonly length = 0;
  readonly flowing = null;

  constructor(socket: ExchangeSocket) {
    this.socket = socket;
  }
  get destroyed(): boolean {
    return this.socket.destroyed;
  }
  get closed(): boolean {
    return this.socket.closed;
  }
  get closeEmitted(): boolean {
    return this.socket.closeEmitted;
  }
  get errored(): Error | null {
    return this.socket.errored;
  }
  get errorEmitted(): boolean {
    return this.socket.errored !== null && this.socket.closeEmitted;
  }
  get needDrain(): boolean {
    return this.socket.writableLength > 0;
  }
  get ended(): boolean {
    return false;
  }
  get endEmitted(): boolean {
    return false;
  }
  get finished(): boolean {
    return false;
  }
}

const highWaterMark = getDefaultHighWaterMark(false);

export class ExchangeSocket {
  // EventEmitter's own fields, set here so that all sockets have one shape.
  _events: object | undefined = undefined;
  _eventsCount = 0;
  _maxListeners: number | undefined = undefined;

  /** The response under way, as on a socket of Node's server. */
  _httpMessage: object | null = null;
  server: net.Server | null;
  /** Milliseconds of setTimeout(); undefined until it is called. */
  timeout: number | undefined = undefined;
  destroyed = false;
  /** 'close' was emitted. */
  closeEmitted = false;
  errored: Error | null = null;
  _hadError = false;
  /** cork() calls not yet undone. Nothing is held back: the exchange gathers writes by itself. */
  writableCorked = 0;
  #owner: SocketOwner;
  #state: StreamState | null = null;

  constructor(owner: SocketOwner, server: net.Server | null) {
    this.#owner = owner;
    this.server = server;
  }

  get remoteAddress(): string | undefined {
    return this.#client.address || undefined;
  }
  get remotePort(): number | undefined {
    return this.#client.port || undefined;
  }
  get remoteFamily(): string | undefined {
    return family(this.#client.address);
  }
  get localAddress(): string | undefined {
    return this.#client.localAddress || undefined;
  }
  get localPort(): number | undefined {
    return this.#client.localPort || undefined;
  }
  get localFamily(): string | undefined {
    return family(this.#client.localAddress);
  }
  address(): net.AddressInfo | object {
    const { localAddress, localPort } = this.#client;
    const localFamily = family(localAddress);
    if (localFamily === undefined) return {};
    return { address: localAddress, family: localFamily, port: localPort };
  }
  get bytesRead(): number {
    return this.#owner.exchange.record.requestBytes;
  }
  get bytesWritten(): number {
    return this.#owner.exchange.record.responseBytes;
  }
  get #client(): ClientFacts {
    return this.#owner.exchange.client;
  }
  /** For ExchangeTlsSocket. */
  protected get facts(): ClientFacts {
    return this.#client;
  }

  get connecting(): boolean {
    return false;
  }
  get pending(): boolean {
    return false;
  }
  /** True from destroy() on, as for a net.Socket, though 'close' is told later. */
  get closed(): boolean {
    return this.destroyed;
  }
  get readyState(): string {
    return this.destroyed ? 'closed' : 'open';
  }
  get readable(): boolean {
    return !this.destroyed;
  }
  get writable(): boolean {
    return !this.destroyed;
  }
  get readableHighWaterMark(): number {
    return highWaterMark;
  }
  get writableHighWaterMark(): number {
    return highWaterMark;
  }
  get readableLength(): number {
    return 0;
  }
  get writableLength(): number {
    return this.#owner.pendingBytes;
  }
  get writableNeedDrain(): boolean {
    return this.#owner.pendingBytes > 0;
  }
  get writableEnded(): boolean {
    return false;
  }
  get writableFinished(): boolean {
    return false;
  }
  get readableEnded(): boolean {
    return false;
  }
  get readableFlowing(): boolean | null {
    return null;
  }
  get allowHalfOpen(): boolean {
    return true;
  }
  get _writableState(): StreamState {
    this.#state ??= new StreamState(this);
    return this.#state;
  }
  get _readableState(): StreamState {
    return this._writableState;
  }

  cork(): void {
    this.writableCorked += 1;
  }
  uncork(): void {
    if (this.writableCorked > 0) this.writableCorked -= 1;
  }

  /** IncomingMessage calls it when its reader wants more. */
  resume(): this {
    if (!this.destroyed) this.#owner.onDemand();
    return this;
  }
  /** The request stream has its own flow control; there is no other reading to stop. */
  pause(): this {
    return this;
  }
  isPaused(): boolean {
    return false;
  }
  read(): null {
    return null;
  }
  setEncoding(): this {
    throw Object.assign(
      new Error('Changing the socket encoding is not allowed per RFC7230 Section 3.'),
      {
        code: 'ERR_HTTP_SOCKET_ENCODING',
      },
    );
  }

  write(
    data: string | Uint8Array,
    encoding?: BufferEncoding | ((error?: Error | null) => void) | null,
    callback?: ((error?: Error | null) => void) | null,
  ): boolean {
    const done = typeof encoding === 'function' ? encoding : callback;
    const ok = data.length === 0 || this.#owner.onRawText(data);
    if (typeof done === 'function') process.nextTick(done, ok ? null : notWritable());
    return ok;
  }
  end(...args: unknown[]): this {
    const callback = args.find((argument) => typeof argument === 'function');
    if (callback !== undefined) process.nextTick(callback as () => void);
    this.#owner.onSocketEnd();
    return this;
  }
  destroySoon(): void {
    this.#owner.onSocketEnd();
  }
  /** Ends this exchange only: other requests of the same client connection go on. */
  destroy(error?: Error | null): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.errored = error ?? null;
    this.stopTimeout();
    this.#owner.onSocketDestroy(this.errored);
    return this;
  }
  resetAndDestroy(): this {
    return this.destroy();
  }

  setTimeout(ms: number, callback?: () => void): this {
    net.Socket.prototype.setTimeout.call(this as unknown as net.Socket, ms, callback);
    return this;
  }
  /** Called by Node's timer, which the borrowed setTimeout() starts. */
  _onTimeout(): void {
    if (this.destroyed) return;
    this.#owner.onSocketTimeout();
  }
  /** Content came or went: the wait for inactivity begins anew. */
  touch(): void {
    if (this.timeout !== undefined)
      (net.Socket.prototype as unknown as { _unrefTimer(): void })._unrefTimer.call(this);
  }
  stopTimeout(): void {
    if (!this.timeout) return;
    const destroyed = this.destroyed;
    // setTimeout() does nothing on a destroyed socket.
    this.destroyed = false;
    this.setTimeout(0);
    this.destroyed = destroyed;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** End of the chain of sockets that borrowed _unrefTimer() walks along. */
Object.defineProperty(ExchangeSocket.prototype, '_parent', { value: null });

// Duplex for instanceof without the cost of Duplex's constructor. The methods
// by which Readable looks at its state on every listener are EventEmitter's again.
Object.setPrototypeOf(ExchangeSocket.prototype, Duplex.prototype);
const plain = EventEmitter.prototype;
for (const name of ['on', 'addListener', 'removeListener', 'off', 'removeAllListeners'] as const)
  Object.defineProperty(ExchangeSocket.prototype, name, {
    value: plain[name],
    writable: true,
    configurable: true,
  });
for (const name of ['pipe', 'unpipe', 'push', 'unshift', 'wrap'])
  Object.defineProperty(ExchangeSocket.prototype, name, {
    value(): never {
      throw notWritable();
    },
    writable: true,
    configurable: true,
  });

function notWritable(): Error {
  return Object.assign(
    new Error('This connection carries no bytes of its own: use the request and the response'),
    { code: 'ERR_PORTICO_RAW_SOCKET' },
  );
}

function family(address: string): string | undefined {
  if (address === '') return undefined;
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
