// Reads what a route changes of the header fields of requests and responses, and refuses what is not its to change.

import {
  fieldNameValid,
  fieldValueValid,
  isForwardingField,
  isHopByHop,
} from '../../http/fields.ts';
import { type HeaderRules, noRules } from '../../http/header-rules.ts';
import type { Complaints } from './complaints.ts';

/** Framing, the time and the name of the answer are the edge's. */
const ownOfResponses = new Set(['content-length', 'date', 'trailer', 'x-request-id']);
/** Framing, and what the edge has decided by before a route was found; httpoxy's Proxy. */
const ownOfRequests = new Set(['content-length', 'expect', 'host', 'proxy', 'trailer']);

function responseFieldFault(name: string): string | null {
  if (!fieldNameValid(name)) return 'no header has this name';
  const lower = plain(name);
  const isOurs = isHopByHop(lower) || ownOfResponses.has(lower);
  return isOurs ? `${name} is decided by Portico for each response` : null;
}

function requestFieldFault(name: string): string | null {
  if (!fieldNameValid(name)) return 'no header has this name';
  const lower = plain(name);
  if (lower === 'host') return 'what an upstream finds in Host its `host` says';
  const isOurs = isHopByHop(lower) || ownOfRequests.has(lower) || isForwardingField(lower);
  return isOurs ? `${name} is decided by Portico for each request` : null;
}

/** "_" may be "-" to who reads it. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

export function readRequestRules(at: string, raw: unknown, complaints: Complaints): HeaderRules {
  return readRules(at, raw, requestFieldFault, complaints);
}

export function readResponseRules(at: string, raw: unknown, complaints: Complaints): HeaderRules {
  return readRules(at, raw, responseFieldFault, complaints);
}

/** { 'Cache-Control': 'no-store' } → names and values in turn. */
export function readResponseFields(at: string, raw: unknown, complaints: Complaints): string[] {
  return readFieldMap(at, raw, responseFieldFault, complaints);
}

type NameFault = (name: string) => string | null;

function readRules(
  at: string,
  raw: unknown,
  fault: NameFault,
  complaints: Complaints,
): HeaderRules {
  if (raw === undefined || raw === null) return noRules;
  const given = complaints.object(at, raw, ['remove', 'set', 'add', 'default']);
  const remove = complaints.list(
    `${at}.remove`,
    given.remove,
    (name) => (fault(name) === null ? name.toLowerCase() : null),
    'names of headers, but none that Portico decides',
  );
  const map = (key: string) => readFieldMap(`${at}.${key}`, given[key], fault, complaints);
  return { remove, set: map('set'), add: map('add'), defaults: map('default') };
}

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

/** What most sites can do with. A site that is framed or opens windows of others says otherwise. */
const presetFields: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'SAMEORIGIN',
  'Referrer-Policy': 'strict-origin-when-cross-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'X-Permitted-Cross-Domain-Policies': 'none',
};

/** true, or more fields and those of the preset that are not wanted: { 'X-Frame-Options': false }. */
export function readSecurity(at: string, raw: unknown, complaints: Complaints): string[] {
  if (raw === undefined || raw === null || raw === false) return [];
  if (raw !== true && (typeof raw !== 'object' || Array.isArray(raw))) {
    complaints.add(at, raw, "true, or headers such as { 'X-Frame-Options': 'DENY' }");
    return [];
  }
  const own = raw === true ? {} : (raw as Record<string, unknown>);
  const wanted = new Map(Object.entries(presetFields));
  for (const [given, value] of Object.entries(own)) {
    const known = [...wanted.keys()].find((name) => name.toLowerCase() === given.toLowerCase());
    if (known !== undefined) wanted.delete(known);
    if (value !== false) wanted.set(given, value as string);
  }
  return readFieldMap(at, Object.fromEntries(wanted), responseFieldFault, complaints);
}
