// An Exchange in memory for tests of handlers: plays the client, and writes down what it gets.

import type { Failure } from '../../src/errors/failure.ts';
import { failure } from '../../src/errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  Exchange,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  RequestHead,
} from '../../src/http/exchange.ts';
import { newRecord } from '../../src/http/exchange-record.ts';

export interface ScriptedOptions {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: Fields;
  readonly bodyLength?: BodyLength;
  readonly expectsContinue?: boolean;
}

export class ScriptedExchange implements Exchange {
  request: RequestHead;
  client: ClientFacts = {
    address: '192.0.2.1',
    port: 4000,
    peerAddress: '192.0.2.1',
    localAddress: '192.0.2.2',
    localPort: 80,
    scheme: 'http',
    tls: null,
  };
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
  requestId = 'id-1';
  readonly record: ExchangeRecord = newRecord(performance.now());

  handler: ExchangeHandler | null = null;
  consumedBytes = 0;
  informs: number[] = [];
  fields: Fields = [];
  content = '';
  trailers: Fields | null = null;
  failure: Failure | null = null;
  over = false;
  /** What write() answers. */
  hasRoom = true;
  /** Resolves when the exchange has settled. */
  readonly settled: Promise<void>;
  private settle: () => void = () => {};

  constructor(options: ScriptedOptions = {}) {
    this.request = {
      method: options.method ?? 'GET',
      target: options.target ?? '/',
      version: '1.1',
      fields: options.fields ?? ['Host', 'example.test'],
    };
    this.bodyLength = options.bodyLength ?? 0;
    this.expectsContinue = options.expectsContinue ?? false;
    this.settled = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  attach(handler: ExchangeHandler): void {
    if (this.handler !== null) throw new Error('attached twice');
    this.handler = handler;
    if (this.over) handler.onClose(this.failure);
    else if (this.bodyLength === 0) handler.onRequestEnd([]);
  }

  // ── the client's part

  sendContent(text: string): void {
    if (!this.over) this.handler?.onRequestData(Buffer.from(text));
  }

  endContent(trailers: Fields = []): void {
    if (!this.over) this.handler?.onRequestEnd(trailers);
  }

  leave(): void {
    this.close(failure('CLIENT_LEFT'));
  }

  // ── the handler's part

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
  }

  inform(status: number): void {
    this.informs.push(status);
  }

  respond(status: number, _reason: string, fields: Fields): void {
    if (this.over) return;
    if (this.record.status !== 0) throw new Error('responded twice');
    this.record.status = status;
    this.fields = fields;
  }

  write(chunk: Uint8Array): boolean {
    if (!this.over) this.content += Buffer.from(chunk).toString('latin1');
    return this.hasRoom;
  }

  end(trailers: Fields): void {
    if (this.over) return;
    this.trailers = trailers;
    this.close(null);
  }

  fail(reason: Failure): void {
    if (this.over) return;
    if (this.record.status === 0) this.record.status = reason.status;
    this.close(reason);
  }

  private close(reason: Failure | null): void {
    if (this.over) return;
    this.over = true;
    this.failure = reason;
    this.record.failure = reason;
    this.handler?.onClose(reason);
    this.settle();
  }
}
