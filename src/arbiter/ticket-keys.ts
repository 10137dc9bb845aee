// The keys of TLS session tickets: made here, so that all edges have the same and a new edge goes on with
// them; kept in memory alone, for who has them can read what was resumed.

import { randomBytes } from 'node:crypto';

/** Node's setTicketKeys() takes a name of 16 bytes and two keys of 16. */
const KEY_BYTES = 48;
/** Tickets live for 2 hours (OpenSSL), so what a key has made can be used until the key is 14 hours old. */
export const TICKET_KEY_MS = 12 * 3_600_000;

export class TicketKeys {
  /** In base64, as they travel; the current one first, then the former. */
  keys: readonly string[] = [newKey()];

  /** From now on tickets are made by a new key; those made by the former are still taken. */
  rotate(): void {
    this.keys = [newKey(), this.keys[0]!];
  }
}

function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}
