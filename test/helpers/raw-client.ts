// A client that sends exactly the bytes a test says, and knows exactly what came back and how it ended.

import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { Watchers } from './watchers.ts';

const DEADLINE_MS = 10_000;

export interface RawResponse {
  readonly status: number;
  readonly head: string;
  /** By lower-case name; repeated ones joined by ", ". */
  readonly fields: ReadonlyMap<string, string>;
  /** Content without its framing. */
  readonly body: string;
  readonly trailers: string;
}

/** How the server ended the connection. */
export type Ending = 'fin' | 'reset';

export class RawClient {
  readonly socket: Socket;
  /** Latin-1, not yet taken by response() or take(). */
  received = '';
  ending: Ending | null = null;
  private readonly watchers = new Watchers();

  constructor(target: number | string) {
    const options: NetConnectOpts =
      typeof target === 'number' ? { port: target, host: '127.0.0.1' } : { path: target };
    this.socket = connect({ ...options, allowHalfOpen: true, noDelay: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.received += text;
      this.wake();
    });
    this.socket.on('end', () => this.onEnding('fin'));
    this.socket.on('error', () => this.onEnding('reset'));
  }

  private onEnding(ending: Ending): void {
    this.ending ??= ending;
    this.wake();
  }

  private wake(): void {
    this.watchers.tell();
  }

  send(bytes: string | Uint8Array): this {
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
    else this.socket.write(bytes);
    return this;
  }

  /** Sends FIN and goes on reading. */
  end(): this {
    this.socket.end();
    return this;
  }

  /** Closes as close(2) does. */
  leave(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Resolves with the first value that is not null. */
  until<T>(what: string, probe: () => T | null): Promise<T> {
    const report = () =>
      `no ${what}; ending ${this.ending}, received ${JSON.stringify(this.received.slice(0, 2000))}`;
    return this.watchers.until(probe, { deadlineMs: DEADLINE_MS, report });
  }

  /** Takes what came up to and with `mark`. */
  take(mark: string): Promise<string> {
    return this.until(JSON.stringify(mark), () => {
      const at = this.received.indexOf(mark);
      return at === -1 ? null : this.cut(at + mark.length);
    });
  }

  private cut(length: number): string {
    const text = this.received.slice(0, length);
    this.received = this.received.slice(length);
    return text;
  }

  /** The next response, informational ones included. `method` is that of the request. */
  async response(method = 'GET'): Promise<RawResponse> {
    const head = await this.take('\r\n\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    const fields = fieldsOf(head);
    const response = { status, head, fields, body: '', trailers: '' };
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return response;
    if (fields.get('transfer-encoding') === 'chunked')
      return { ...response, ...(await this.chunks()) };
    const length = fields.get('content-length');
    if (length === undefined) {
      await this.ended();
      return { ...response, body: this.cut(this.received.length) };
    }
    const body = await this.until('content', () =>
      this.received.length >= Number(length) ? this.cut(Number(length)) : null,
    );
    return { ...response, body };
  }

  private async chunks(): Promise<{ body: string; trailers: string }> {
    let body = '';
    for (;;) {
      const size = Number.parseInt(await this.take('\r\n'), 16);
      if (size === 0) break;
      const piece = await this.until('chunk', () =>
        this.received.length >= size + 2 ? this.cut(size + 2) : null,
      );
      body += piece.slice(0, -2);
    }
    let trailers = '';
    for (let line = ''; line !== '\r\n'; trailers += line) line = await this.take('\r\n');
    return { body, trailers: trailers.slice(0, -2) };
  }

  /** Resolves when the server has ended the connection, with how. */
  ended(): Promise<Ending> {
    return this.until('end of the connection', () => this.ending);
  }
}

function fieldsOf(head: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of head.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon === -1) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const former = fields.get(name);
    fields.set(name, former === undefined ? value : `${former}, ${value}`);
  }
  return fields;
}
