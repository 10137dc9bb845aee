// Field lists: looking fields up, which of them are for one connection only, what an app may send.

import type { Fields } from './exchange.ts';
import { equalsLower, isToken, isValueByte, sameName } from './tokens.ts';

/** Value of the first field with this name (lower case), or undefined. */
export function fieldValue(fields: Fields, lowerName: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    if (sameName(fields[index]!, lowerName)) return fields[index + 1];
  }
  return undefined;
}

/** Values of all fields with this name joined by ", " (RFC 9110 section 5.3), or undefined. */
export function fieldValues(fields: Fields, lowerName: string): string | undefined {
  let values: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    if (!sameName(fields[index]!, lowerName)) continue;
    values = values === undefined ? fields[index + 1]! : `${values}, ${fields[index + 1]!}`;
  }
  return values;
}

/** Fields that speak of one connection or to its other end (RFC 9110 section 7.6.1), and the
 *  credentials of a proxy, which are not the app's. */
const hopByHop = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

export function isHopByHop(lowerName: string): boolean {
  return hopByHop.has(lowerName);
}

/**
 * Whether this may be a hop-by-hop field by its first letter and length: false for nearly all
 * fields, and costs no lower-cased copy.
 */
function maybeHopByHop(name: string): boolean {
  switch (name.charCodeAt(0) | 32) {
    case 99: // connection
      return name.length === 10;
    case 104: // http2-settings
      return name.length === 14;
    case 107: // keep-alive
      return name.length === 10;
    case 112: // proxy-…
      return name.length >= 16;
    case 116: // te, transfer-encoding
      return name.length === 2 || name.length === 17;
    case 117: // upgrade
      return name.length === 7;
    default:
      return false;
  }
}

/** isHopByHop for a name in any case. */
export function isHopByHopName(name: string): boolean {
  return maybeHopByHop(name) && hopByHop.has(name.toLowerCase());
}

/** Fields the edge adds about who asks, which only a trusted proxy may send. */
export function isForwardingField(lowerName: string): boolean {
  return (
    lowerName.startsWith('x-forwarded-') ||
    lowerName.startsWith('x-client-cert-') ||
    lowerName === 'x-real-ip' ||
    lowerName === 'x-request-id' ||
    lowerName === 'forwarded'
  );
}

/**
 * The fields that Connection names beyond the usual options, lower-cased; null if there are none.
 * Framing, Host and forwarding fields can't be named away: a client that wrote
 * `Connection: content-length` would leave its content unframed, or its address unknown, behind us.
 */
export function namedByConnection(connection: string): string[] | null {
  if (sameName(connection, 'keep-alive') || sameName(connection, 'close')) return null;
  let names: string[] | null = null;
  for (const item of connection.toLowerCase().split(',')) {
    const name = item.trim();
    if (name === 'close' || isHopByHop(name) || isProtected(name) || !isToken(name)) continue;
    if (names === null) names = [name];
    else if (names.length < CONNECTION_NAMES_MAX) names.push(name);
  }
  return names;
}

/** More names than fields can be (limitRequestFields is 100 unless set) are of no use. */
const CONNECTION_NAMES_MAX = 100;

function isProtected(lowerName: string): boolean {
  return lowerName === 'host' || lowerName.startsWith('content-') || isForwardingField(lowerName);
}

/** `fields` without those whose lower-cased name is in `names`. */
export function withoutNamed(fields: Fields, names: readonly string[]): Fields {
  const kept: Fields = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (!names.includes(name.toLowerCase())) kept.push(name, fields[index + 1]!);
  }
  return kept;
}

/** Fields that make no sense or do harm after the content, when routing, authentication and
 *  reading of the content are long decided (RFC 9110 section 6.5.1). */
const forbiddenInTrailers = new Set([
  ...hopByHop,
  'age',
  'authentication-info',
  'authorization',
  'cache-control',
  'cookie',
  'date',
  'expect',
  'expires',
  'host',
  'location',
  'max-forwards',
  'pragma',
  'proxy',
  'range',
  'retry-after',
  'set-cookie',
  'trailer',
  'vary',
  'warning',
  'www-authenticate',
]);

export function isForbiddenTrailer(lowerName: string): boolean {
  return (
    forbiddenInTrailers.has(lowerName) ||
    lowerName.startsWith('content-') ||
    lowerName.startsWith('if-') ||
    isForwardingField(lowerName)
  );
}

/** Trailers that may be passed on. "_" is read as "-": what turns names into variables does so. */
export function withoutForbiddenTrailers(fields: Fields): Fields {
  const kept: Fields = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (isForbiddenTrailer(name.toLowerCase().replaceAll('_', '-'))) continue;
    kept.push(name, fields[index + 1]!);
  }
  return kept;
}

/** Whether an app may send a field of this name. */
export function fieldNameValid(name: string): boolean {
  return isToken(name);
}

/** Whether an app may send this value: Latin-1 without CR, LF, NUL and other control characters,
 *  any of which could end the field early and begin another (response splitting). */
export function fieldValueValid(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code > 255 || isValueByte[code] === 0) return false;
  }
  return true;
}

/** Whether a comma-separated list holds `lower`, whatever its case. */
export function listHolds(list: string, lower: string): boolean {
  for (const item of list.split(',')) {
    const token = item.trim();
    if (equalsLower(token, 0, token.length, lower)) return true;
  }
  return false;
}
