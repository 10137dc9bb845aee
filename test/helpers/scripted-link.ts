// A Link in memory for tests of the pool: the test plays the worker.

import type { Connect } from '../../src/edge/balancer/backend.ts';
import type { Failure } from '../../src/errors/failure.ts';
import { failure } from '../../src/errors/failure.ts';
import type { Fields } from '../../src/http/exchange.ts';
import type { Link, LinkObserver, LinkRequest, LinkStream } from '../../src/link/link.ts';

export class ScriptedStream implements LinkStream {
  readonly request: LinkRequest;
  readonly observer: LinkObserver;
  readonly link: ScriptedLink;
  content = '';
  trailers: Fields | null = null;
  consumedBytes = 0;
  cancelled = false;

  constructor(link: ScriptedLink, request: LinkRequest, observer: LinkObserver) {
    this.link = link;
    this.request = request;
    this.observer = observer;
    if (request.bodyLength === 0) this.trailers = [];
  }

  write(chunk: Uint8Array): void {
    this.content += Buffer.from(chunk).toString('latin1');
  }

  end(trailers: Fields): void {
    this.trailers = trailers;
  }

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
  }

  cancel(): void {
    this.cancelled = true;
    this.link.leave(this);
  }

  /** The worker answers in whole. */
  answer(text: string): void {
    this.observer.onResponse(200, '', []);
    this.observer.onData(Buffer.from(text));
    this.finish();
  }

  finish(): void {
    this.link.leave(this);
    this.observer.onEnd([]);
  }

  fail(reason: Failure, reached: boolean): void {
    this.link.leave(this);
    this.observer.onFailed(reason, reached);
  }
}

export class ScriptedLink implements Link {
  readonly path: string;
  isUp = false;
  drained = false;
  down = false;
  streams: ScriptedStream[] = [];
  private readonly onUp: () => void;
  private readonly onDown: (reason: Failure | null) => void;

  constructor(options: Parameters<Connect>[0]) {
    this.path = options.path;
    this.onUp = options.onUp;
    this.onDown = options.onDown;
  }

  get inFlight(): number {
    return this.streams.length;
  }

  open(request: LinkRequest, observer: LinkObserver): LinkStream {
    const stream = new ScriptedStream(this, request, observer);
    this.streams.push(stream);
    return stream;
  }

  drain(): void {
    this.drained = true;
    if (this.streams.length === 0) this.close(null);
  }

  destroy(reason: Failure): void {
    this.die(reason);
  }

  leave(stream: ScriptedStream): void {
    this.streams = this.streams.filter((other) => other !== stream);
    if (this.drained && this.streams.length === 0) this.close(null);
  }

  up(): void {
    this.isUp = true;
    this.onUp();
  }

  /** The worker's process ends. */
  die(reason: Failure = failure('WORKER_DIED', 'the link was closed')): void {
    const streams = this.streams;
    this.streams = [];
    this.isUp = false; // streams hear their end before onDown, as on the real link
    for (const stream of streams) stream.observer.onFailed(reason, true);
    this.close(reason);
  }

  private close(reason: Failure | null): void {
    if (this.down) return;
    this.down = true;
    this.isUp = false;
    this.onDown(reason);
  }
}
