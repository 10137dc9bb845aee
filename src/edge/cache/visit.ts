// A client's request that the cache could not answer at once: it leads a fetch, or waits for one.

import type { Exchange, ExchangeHandler, Handle } from '../../http/exchange.ts';
import type { Fetch } from './fetch.ts';
import type { KeyParts } from './key.ts';
import type { Wants } from './wants.ts';

export interface VisitParts {
  readonly exchange: Exchange;
  readonly wants: Wants;
  readonly parts: KeyParts;
  readonly key: string;
  /** The steps that lead to the app. */
  readonly next: Handle;
}

export class Visit implements ExchangeHandler {
  readonly exchange: Exchange;
  readonly wants: Wants;
  readonly parts: KeyParts;
  readonly key: string;
  readonly next: Handle;
  /** What it leads or waits for. */
  fetch: Fetch | null = null;
  /** Fetches it waited for that had nothing for it. */
  waits = 0;
  /** When it stops waiting for others' fetches; 0 = it has not waited. */
  deadlineMs = 0;
  isOver = false;

  constructor({ exchange, wants, parts, key, next }: VisitParts) {
    this.exchange = exchange;
    this.wants = wants;
    this.parts = parts;
    this.key = key;
    this.next = next;
  }

  onRequestData(): void {}
  onRequestEnd(): void {}

  onDrain(): void {
    this.fetch?.drained();
  }

  onClose(): void {
    this.isOver = true;
    const { fetch } = this;
    this.fetch = null;
    fetch?.left(this);
  }
}
