// One request on its way to a worker and its answer on the way back: the glue between the
// exchange with the client and a stream of a link, with credits both ways, retries and deadlines.

import type { Failure } from '../../errors/failure.ts';
import { failure } from '../../errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  Exchange,
  ExchangeHandler,
  Fields,
  RequestHead,
} from '../../http/exchange.ts';
import type { LinkObserver, LinkRequest, LinkStream } from '../../link/link.ts';
import { logRetry } from '../failures.ts';
import type { ResponseSink, ResponseSource, ResponseStep } from '../response-step.ts';
import type { Backend } from './backend.ts';
import type { Pool } from './pool.ts';
import { Replay } from './replay.ts';
import { decideRetry, isIdempotent, isSafe } from './retry.ts';
import { Spool } from './spool.ts';
import { withCookie } from './sticky.ts';
import { Waiter } from './wait-list.ts';

export interface ForwardSettings {
  /** From the claim of a worker to its response head; 0 = no limit. */
  readonly responseTimeoutMs: number;
  /** Take content in whole before a worker is claimed: for workers that do one thing at a time. */
  readonly spool: boolean;
  /** What a worker's response meets, in order: the first that takes it has it. */
  readonly responseSteps: readonly ResponseStep[];
}

/** What a worker may send of a response that nobody reads: an error page of the app's, or the few
 *  words beside an X-Accel-Redirect. */
const DISMISSED_BYTES_MAX = 65_536;
/** Where responses have no limit of time. */
const DISMISSED_MS = 60_000;

/** Life: taking in (spool only) → waiting for a worker → with a worker ⟲ (retry) → over.
 *  It is its own LinkRequest and its own observer: one object a request. */
export class Forward
  extends Waiter
  implements ExchangeHandler, LinkObserver, LinkRequest, ResponseSource
{
  request: RequestHead;
  readonly client: ClientFacts;
  readonly requestId: string;
  bodyLength: BodyLength;
  expectsContinue: boolean;

  private readonly exchange: Exchange;
  private readonly pool: Pool;
  private readonly settings: ForwardSettings;
  private readonly replay: Replay | null = null;
  private readonly spool: Spool | null = null;
  private backend: Backend | null = null;
  private stream: LinkStream | null = null;
  /** The request content has ended; null = not yet. */
  private trailers: Fields | null = null;
  private answered = false;
  private over = false;
  /** The step that takes the response; null = the exchange itself. */
  private sink: ResponseSink | null = null;
  /** The sink answers without the worker. */
  private dismissed = false;
  /** Response content for which the client has no room yet; once dismissed, all that came since. */
  private heldBytes = 0;

  constructor(exchange: Exchange, request: RequestHead, pool: Pool, settings: ForwardSettings) {
    super();
    this.exchange = exchange;
    this.request = request;
    this.client = exchange.client;
    this.requestId = exchange.requestId;
    this.bodyLength = exchange.bodyLength;
    this.expectsContinue = exchange.expectsContinue;
    this.pool = pool;
    this.settings = settings;
    if (exchange.bodyLength !== 0) {
      if (settings.spool)
        this.spool = new Spool({
          onStored: (bytes) => this.exchange.consumed(bytes),
          onComplete: () => this.onSpooled(),
          onError: (error) => this.onSpoolError(error),
        });
      else this.replay = new Replay(isIdempotent(request.method));
    }
  }

  /** Takes the exchange on. */
  run(): void {
    this.exchange.attach(this);
    if (this.over) return; // the client left meanwhile
    if (this.spool === null) this.pool.submit(this, false);
    else this.exchange.consumed(0); // asks a client that waits for 100 (Continue)
  }

  // ── from the pool

  start(backend: Backend): void {
    const { record } = this.exchange;
    const nowMs = performance.now();
    if (record.claimedMs === 0) record.claimedMs = nowMs;
    record.upstream = backend.name;
    this.backend = backend;
    if (this.settings.responseTimeoutMs > 0)
      this.pool.awaitAnswer(this, nowMs + this.settings.responseTimeoutMs);
    const stream = backend.link.open(this, this);
    if (this.backend !== backend) return; // refused at once, and already elsewhere
    this.stream = stream;
    if (this.spool !== null) {
      this.spool.sendTo(stream);
      return;
    }
    if (this.replay !== null) {
      this.replay.restart();
      for (const chunk of this.replay.chunks) stream.write(chunk);
    }
    if (this.trailers !== null) stream.end(this.trailers);
  }

  override get canComeBack(): boolean {
    // Where a request would like to go is said by its client, who is to stay with one worker.
    return (
      !this.answered &&
      !this.over &&
      this.bodyLength === 0 &&
      this.stick === null &&
      isSafe(this.request.method)
    );
  }

  override comeBack(): void {
    this.exchange.record.claimedMs = 0;
    this.leaveWorker(true);
  }

  giveUp(reason: Failure): void {
    this.backend?.failed(reason);
    this.leaveWorker(true);
    this.exchange.fail(reason);
  }

  // ── from the client

  onRequestData(chunk: Uint8Array): void {
    if (this.spool !== null) this.spool.add(chunk);
    else {
      this.replay?.add(chunk);
      this.stream?.write(chunk);
    }
  }

  onRequestEnd(trailers: Fields): void {
    this.trailers = trailers;
    if (this.spool !== null) this.spool.end();
    else this.stream?.end(trailers);
  }

  onDrain(): void {
    if (this.sink === null) this.onRoom();
    else this.sink.onDrain();
  }

  onRoom(): void {
    const bytes = this.heldBytes;
    if (bytes === 0 || this.dismissed) return;
    this.heldBytes = 0;
    this.stream?.consumed(bytes);
  }

  dismiss(): void {
    this.dismissed = true;
  }

  onClose(_reason: Failure | null): void {
    this.over = true;
    this.sink?.close();
    this.pool.queue.remove(this);
    if (this.dismissed && this.stream !== null) this.leaveLater();
    else this.leaveWorker(true);
    this.spool?.close();
    this.replay?.drop();
  }

  // ── from the worker

  onInform(status: number, fields: Fields): void {
    this.exchange.inform(status, fields);
  }

  onResponse(status: number, reason: string, fields: Fields): void {
    this.pool.answering.remove(this);
    this.answered = true;
    const { exchange } = this;
    try {
      const complete = this.withCookie(withRequestId(fields, this.requestId));
      for (const step of this.settings.responseSteps) {
        this.sink = step(exchange, status, complete, this);
        if (this.sink !== null) break;
      }
      (this.sink ?? exchange).respond(status, reason, complete);
    } catch (error) {
      this.onFault(error);
    }
  }

  private withCookie(fields: Fields): Fields {
    const { stick, backend } = this;
    if (stick === null || backend === null) return fields;
    return withCookie(fields, stick, backend.place, this.client.scheme === 'https');
  }

  onData(chunk: Uint8Array): void {
    const bytes = chunk.length;
    if (this.dismissed) {
      this.discard(bytes);
      return;
    }
    let hasRoom: boolean;
    try {
      hasRoom = this.sink === null ? this.exchange.write(chunk) : this.sink.write(chunk);
    } catch (error) {
      this.onFault(error);
      return;
    }
    if (hasRoom) this.stream?.consumed(bytes);
    else this.heldBytes += bytes;
  }

  onEnd(trailers: Fields): void {
    this.leaveWorker(false);
    try {
      if (!this.dismissed) (this.sink ?? this.exchange).end(trailers);
    } catch (error) {
      this.onFault(error);
    }
  }

  onConsumed(bytes: number): void {
    if (this.spool !== null) this.spool.consumed(bytes);
    else if (this.replay === null) this.exchange.consumed(bytes);
    else {
      const credit = this.replay.consumed(bytes);
      if (credit > 0) this.exchange.consumed(credit);
    }
  }

  onFailed(reason: Failure, reached: boolean): void {
    const { exchange, backend } = this;
    backend?.failed(reason);
    this.leaveWorker(false);
    if (this.over || this.dismissed) return;
    const verdict = decideRetry({
      method: this.request.method,
      failure: reason,
      reached,
      replayable: this.replay === null || this.replay.complete,
      answered: this.answered,
      retries: exchange.record.retries,
    });
    if (verdict === 'retry') {
      exchange.record.retries++;
      if (reached) logRetry(this.pool.log, exchange, `${whose(backend)}: ${detailOf(reason)}`);
      this.avoidWorkerId = backend?.workerId ?? 0;
      this.pool.submit(this, true);
      return;
    }
    exchange.fail(
      failure(
        reason.code,
        `${whose(backend)}: ${detailOf(reason)}; not retried: ${verdict}`,
        reason.cause,
      ),
    );
  }

  // ── within

  /** A programmer's error on the way of a response ends that response, not the process with all
   *  others. */
  private onFault(error: unknown): void {
    this.pool.log.error('fault while a response was passed on', { error });
    this.leaveWorker(true);
    this.exchange.fail(failure('EDGE_FAULT', '', error));
  }

  /** The client has its answer, and the app is not yet done with its own. */
  private leaveLater(): void {
    const graceMs = this.settings.responseTimeoutMs || DISMISSED_MS;
    this.pool.awaitAnswer(this, performance.now() + graceMs);
  }

  /** Nobody reads it: a little is taken, so that the app's response ends as if it were sent. */
  private discard(bytes: number): void {
    this.heldBytes += bytes;
    if (this.heldBytes > DISMISSED_BYTES_MAX) this.leaveWorker(true);
    else this.stream?.consumed(bytes);
  }

  private onSpooled(): void {
    const bytes = this.spool?.bytes ?? 0;
    // The length is known now, and an app that reads by Content-Length gets it, as behind nginx.
    // Trailers end here: they belong to chunked content, which this no longer is.
    if (this.bodyLength === 'unknown')
      this.request = {
        ...this.request,
        fields: [...this.request.fields, 'Content-Length', String(bytes)],
      };
    this.bodyLength = bytes;
    this.expectsContinue = false;
    this.pool.submit(this, false);
  }

  private onSpoolError(error: Error): void {
    this.exchange.fail(
      failure('EDGE_FAULT', `cannot keep the request content: ${error.message}`, error),
    );
  }

  /** Gives the worker back. `cancel`: it may still be at work on the request. */
  private leaveWorker(cancel: boolean): void {
    this.pool.answering.remove(this);
    const { backend, stream } = this;
    this.backend = null;
    this.stream = null;
    this.heldBytes = 0;
    this.spool?.stop();
    if (cancel && stream !== null) stream.cancel();
    if (backend !== null) this.pool.release(backend, this);
  }
}

/** Whose fault, for the log: slot and process, so that the worker's own lines can be found. */
function whose(backend: Backend | null): string {
  if (backend === null) return 'no worker';
  const { pid } = backend.worker;
  return pid === 0 ? backend.name : `${backend.name} (pid ${pid})`;
}

function detailOf(reason: Failure): string {
  return reason.detail === '' ? reason.code : reason.detail;
}

/** Adds X-Request-Id to the answer, so that a user's complaint leads to its log lines, unless the
 *  app has set it. */
function withRequestId(fields: Fields, requestId: string): Fields {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (name.length === 12 && name.toLowerCase() === 'x-request-id') return fields;
  }
  fields.push('X-Request-Id', requestId);
  return fields;
}
