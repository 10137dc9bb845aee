// Reads the header fields that a route adds to requests and responses, and refuses those that are not its to set.

import { fieldNameValid, fieldValueValid, isHopByHop } from '../../http/fields.ts';
import type { Complaints } from './complaints.ts';

/** Framing and the time of the answer are the edge's; X-Request-Id leads to its log lines. */
const ownOfResponses = new Set(['content-length', 'date', 'trailer', 'x-request-id']);

/** Why a response's field is not to be touched, or null. */
function responseFieldFault(name: string): string | null {
  if (!fieldNameValid(name)) return 'no header has this name';
  const lower = name.toLowerCase();
  return isHopByHop(lower) || ownOfResponses.has(lower)
    ? `${name} is decided by Portico for each response`
    : null;
}

/** { 'Cache-Control': 'no-store' } → names and values in turn. */
export function readResponseFields(at: string, raw: unknown, complaints: Complaints): string[] {
  return readFieldMap(at, raw, responseFieldFault, complaints);
}

type NameFault = (name: string) => string | null;

function readFieldMap(
  at: string,
  raw: unknown,
  fault: NameFault,
  complaints: Complaints,
): string[] {
  if (raw === undefined || raw === null) return [];
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    complaints.add(at, raw, "headers such as { 'X-Frame-Options': 'DENY' }");
    return [];
  }
  const fields: string[] = [];
  for (const [name, value] of Object.entries(raw)) {
    if (value === undefined) continue;
    const why = fault(name);
    if (why !== null) complaints.add(`${at}.${name.slice(0, 40)}`, value, why);
    else if (typeof value === 'string' && fieldValueValid(value)) fields.push(name, value);
    else complaints.add(`${at}.${name}`, value, 'text in Latin-1 without line breaks');
  }
  return fields;
}
