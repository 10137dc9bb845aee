// A scriptable Exchange with nothing behind it: a test plays the client, and reads what was answered.

import type { Failure } from '../../src/errors/failure.ts';
import { failure } from '../../src/errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  Exchange,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  HttpVersion,
  RequestHead,
} from '../../src/http/exchange.ts';
import { newRecord } from '../../src/http/exchange-record.ts';

export interface FakeRequest {
  readonly method?: string;
  readonly target?: string;
  readonly version?: HttpVersion;
  readonly fields?: Fields;
  readonly client?: Partial<ClientFacts>;
  /** Content: sent at once after attach(), as the window allows; 'later' = by sendData() and
   *  sendEnd(). Default: none. */
  readonly content?: string | readonly (string | Uint8Array)[] | 'later';
  readonly trailers?: Fields;
  readonly expectsContinue?: boolean;
  readonly requestId?: string;
  /** Content sent before consumed() gives room for more. Default 64 KiB. */
  readonly requestWindow?: number;
  /** Content taken before write() returns false; drain() empties it. Default 64 KiB. */
  readonly responseWindow?: number;
  /** Whether the client takes the response as it comes; false = only by drain(). Default true. */
  readonly reads?: boolean;
}

/** What a client would have seen. */
export interface SeenResponse {
  readonly informed: readonly { readonly status: number; readonly fields: Fields }[];
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  readonly content: Buffer;
  readonly trailers: Fields;
  /** False: the response was cut, or there was none. */
  readonly whole: boolean;
}

export interface FakeExchange extends Exchange {
  /** Resolves when the exchange is over. */
  readonly over: Promise<SeenResponse>;
  /** Resolves when the response head has been given. */
  readonly responded: Promise<void>;
  readonly seen: SeenResponse;
  readonly failure: Failure | null;
  /** Bytes acknowledged by consumed(), and how often it was called. */
  readonly consumedBytes: number;
  readonly consumedCalls: number;
  /** Bytes of content sent to the handler so far. */
  readonly sentBytes: number;
  /** What the handler did against the contract. */
  readonly violations: readonly string[];
  /** Calls in order: 'inform 103', 'respond 200', 'write 5', 'end', 'fail CODE'. */
  readonly calls: readonly string[];
  sendData(chunk: string | Uint8Array): void;
  sendEnd(trailers?: Fields): void;
  /** The client takes what it was sent. */
  drain(): void;
  clientLeaves(): void;
}

export function fakeExchange(request: FakeRequest = {}): FakeExchange {
  return new ScriptedExchange(request);
}

const plainClient: ClientFacts = {
  address: '127.0.0.1',
  port: 40000,
  peerAddress: '127.0.0.1',
  localAddress: '127.0.0.1',
  localPort: 8000,
  scheme: 'http',
  tls: null,
};

class ScriptedExchange implements FakeExchange {
  request: RequestHead;
  client: ClientFacts;
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
  requestId: string;
  readonly record: ExchangeRecord = newRecord(0);
  readonly over: Promise<SeenResponse>;
  readonly responded: Promise<void>;
  readonly violations: string[] = [];
  readonly calls: string[] = [];
  failure: Failure | null = null;
  consumedBytes = 0;
  consumedCalls = 0;
  sentBytes = 0;
  #options: FakeRequest;
  #handler: ExchangeHandler | null = null;
  #unsent: Uint8Array[] = [];
  #contentDone: boolean;
  #trailersToSend: Fields;
  #endTold = false;
  #continueSent = false;
  #head: { status: number; reason: string; fields: Fields } | null = null;
  #informed: { status: number; fields: Fields }[] = [];
  #written: Buffer[] = [];
  #untaken = 0;
  #blocked = false;
  #drainQueued = false;
  #ended: Fields | null = null;
  #isOver = false;
  #resolveOver!: (seen: SeenResponse) => void;
  #resolveResponded!: () => void;

  constructor(options: FakeRequest) {
    this.#options = options;
    this.request = {
      method: options.method ?? 'GET',
      target: options.target ?? '/',
      version: options.version ?? '1.1',
      fields: options.fields ?? ['Host', 'localhost'],
    };
    this.client = { ...plainClient, ...options.client };
    this.requestId = options.requestId ?? 'test';
    this.expectsContinue = options.expectsContinue ?? false;
    const { content } = options;
    if (content === 'later' || content === undefined) this.#unsent = [];
    else this.#unsent = (typeof content === 'string' ? [content] : [...content]).map(toBytes);
    this.#contentDone = content !== 'later';
    this.#trailersToSend = options.trailers ?? [];
    this.bodyLength =
      content === undefined
        ? 0
        : content === 'later'
          ? 'unknown'
          : this.#unsent.reduce((sum, chunk) => sum + chunk.length, 0);
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    this.responded = new Promise((resolve) => {
      this.#resolveResponded = resolve;
    });
  }

  get seen(): SeenResponse {
    return {
      informed: this.#informed,
      status: this.#head?.status ?? 0,
      reason: this.#head?.reason ?? '',
      fields: this.#head?.fields ?? [],
      content: Buffer.concat(this.#written),
      trailers: this.#ended ?? [],
      whole: this.#ended !== null && this.failure === null,
    };
  }

  // ── Exchange ──

  attach(handler: ExchangeHandler): void {
    if (this.#handler !== null) this.violations.push('attach() twice');
    this.#handler = handler;
    if (this.bodyLength === 0) this.#feed();
    else if (!this.expectsContinue) setImmediate(() => this.#feed());
  }

  consumed(bytes: number): void {
    this.calls.push(`consumed ${bytes}`);
    this.consumedCalls += 1;
    this.consumedBytes += bytes;
    if (this.consumedBytes > this.sentBytes) this.violations.push('consumed() more than was sent');
    if (this.expectsContinue && !this.#continueSent && this.#head === null) this.inform(100, []);
    setImmediate(() => this.#feed());
  }

  inform(status: number, fields: Fields): void {
    this.calls.push(`inform ${status}`);
    if (this.#head !== null) this.violations.push('inform() after respond()');
    if (status === 101 || status < 100 || status > 199) this.violations.push(`inform(${status})`);
    if (this.#isOver) return;
    if (status === 100 && this.#continueSent) return;
    this.#informed.push({ status, fields });
    if (status === 100) {
      this.#continueSent = true;
      setImmediate(() => this.#feed());
    }
  }

  respond(status: number, reason: string, fields: Fields): void {
    this.calls.push(`respond ${status}`);
    if (this.#head !== null) this.violations.push('respond() twice');
    if (fields.length % 2 !== 0 || fields.some((item) => typeof item !== 'string'))
      this.violations.push(`fields are not pairs of strings: ${JSON.stringify(fields)}`);
    if (this.#isOver) return;
    this.#head = { status, reason, fields };
    this.#resolveResponded();
  }

  write(chunk: Uint8Array): boolean {
    this.calls.push(`write ${chunk.length}`);
    if (this.#head === null) this.violations.push('write() before respond()');
    if (this.#ended !== null) this.violations.push('write() after end()');
    if (!(chunk instanceof Uint8Array)) this.violations.push('write() of no bytes');
    if (this.#isOver) return false;
    this.#written.push(Buffer.from(chunk));
    this.#untaken += chunk.length;
    this.record.responseBytes += chunk.length;
    if (this.#untaken <= (this.#options.responseWindow ?? 65536)) return true;
    this.#blocked = true;
    this.#queueDrain();
    return false;
  }

  end(trailers: Fields): void {
    this.calls.push('end');
    if (this.#head === null) this.violations.push('end() before respond()');
    if (this.#ended !== null) this.violations.push('end() twice');
    if (this.#isOver) return;
    const promised = lengthPromised(this.#head?.fields ?? []);
    const sent = this.#written.reduce((sum, chunk) => sum + chunk.length, 0);
    if (promised !== null && promised !== sent && this.request.method !== 'HEAD' && sent > 0) {
      this.fail(failure('RESPONSE_LENGTH', `${sent} of ${promised} bytes`));
      return;
    }
    this.#ended = trailers;
    if (this.#blocked) this.#queueDrain();
    this.#settle();
  }

  fail(reason: Failure): void {
    this.calls.push(`fail ${reason.code}`);
    if (!this.#isOver) this.#finish(reason);
  }

  // ── The client ──

  sendData(chunk: string | Uint8Array): void {
    this.#unsent.push(toBytes(chunk));
    this.#feed();
  }

  sendEnd(trailers: Fields = []): void {
    this.#contentDone = true;
    this.#trailersToSend = trailers;
    this.#feed();
  }

  drain(): void {
    this.#untaken = 0;
    const wasBlocked = this.#blocked;
    this.#blocked = false;
    if (wasBlocked && !this.#isOver) this.#handler?.onDrain();
    this.#settle();
  }

  clientLeaves(): void {
    if (!this.#isOver) this.#finish(failure('CLIENT_LEFT'));
  }

  // ── ──

  #feed(): void {
    if (this.#isOver || this.#handler === null) return;
    const window = this.#options.requestWindow ?? 65536;
    while (this.#unsent.length > 0 && this.sentBytes - this.consumedBytes < window) {
      const room = window - (this.sentBytes - this.consumedBytes);
      const next = this.#unsent[0]!;
      const chunk = next.subarray(0, room);
      if (chunk.length === next.length) this.#unsent.shift();
      else this.#unsent[0] = next.subarray(room);
      this.sentBytes += chunk.length;
      this.record.requestBytes += chunk.length;
      // A copy that is spoilt when acknowledged would catch a handler that keeps it; plain here.
      this.#handler.onRequestData(Uint8Array.from(chunk));
      if (this.#isOver) return;
    }
    if (this.#unsent.length > 0 || !this.#contentDone || this.#endTold) return;
    this.#endTold = true;
    this.#handler.onRequestEnd(this.#trailersToSend);
    this.#settle();
  }

  #queueDrain(): void {
    if (this.#options.reads === false || this.#drainQueued) return;
    this.#drainQueued = true;
    setImmediate(() => {
      this.#drainQueued = false;
      this.drain();
    });
  }

  #settle(): void {
    if (this.#isOver || this.#ended === null || this.#blocked) return;
    // A client that was not told to continue sends no content.
    const contentIsDue = !this.expectsContinue || this.#continueSent;
    if (contentIsDue && !this.#endTold) return;
    setImmediate(() => {
      if (!this.#isOver) this.#finish(null);
    });
  }

  #finish(reason: Failure | null): void {
    this.#isOver = true;
    this.failure = reason;
    this.record.failure = reason;
    this.record.status = this.#head?.status ?? reason?.status ?? 0;
    this.#handler?.onClose(reason);
    this.#resolveOver(this.seen);
  }
}

function toBytes(chunk: string | Uint8Array): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

function lengthPromised(fields: Fields): number | null {
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i]!.toLowerCase() === 'content-length') return Number(fields[i + 1]);
  return null;
}
