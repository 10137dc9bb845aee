// Strict-Transport-Security (RFC 6797): on every answer to a client that came by https, unless it has one.

import type { ClientFacts, Fields } from './exchange.ts';
import { fieldValue } from './fields.ts';

const NAME = 'Strict-Transport-Security';

/** What is to be added for the client; null = nothing. */
export function hstsFor(hsts: string | null, client: ClientFacts, fields: Fields): string | null {
  if (hsts === null || client.scheme !== 'https') return null;
  return fieldValue(fields, 'strict-transport-security') === undefined ? hsts : null;
}

export function withHsts(hsts: string | null, client: ClientFacts, fields: Fields): Fields {
  const value = hstsFor(hsts, client, fields);
  return value === null ? fields : [...fields, NAME, value];
}
