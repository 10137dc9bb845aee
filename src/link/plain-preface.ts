// What the edge says first on a connection that carries plain HTTP to a worker: who the client is. One
// line before the request, so that an app finds the client's address at its real socket.

import type { ClientFacts } from '../http/exchange.ts';

const WORD = 'PORTICO-CLIENT ';
/** Addresses, ports and TLS facts; the longest part is the subject of a client certificate. */
const LINE_BYTES_MAX = 16 * 1024;
const LF = 10;

export interface PlainPreface {
  /** Null: the line is there and can't be read. */
  readonly client: ClientFacts | null;
  /** Where the request begins. */
  readonly at: number;
}

/** Client and line end; JSON has no line end within. */
export function encodePlainPreface(client: ClientFacts): string {
  const line = `${WORD}${JSON.stringify(client)}\n`;
  if (line.length <= LINE_BYTES_MAX) return line;
  return `${WORD}${JSON.stringify({ ...client, tls: null })}\n`;
}

/** 'none': the connection begins with a request. 'partial': more bytes are needed. */
export function readPlainPreface(bytes: Buffer): PlainPreface | 'none' | 'partial' {
  const start = bytes.toString('latin1', 0, WORD.length);
  if (!WORD.startsWith(start)) return 'none';
  const end = bytes.indexOf(LF);
  if (end === -1) return bytes.length < LINE_BYTES_MAX ? 'partial' : { client: null, at: 0 };
  try {
    const client = JSON.parse(bytes.toString('utf8', WORD.length, end)) as ClientFacts;
    return { client, at: end + 1 };
  } catch {
    return { client: null, at: 0 };
  }
}
