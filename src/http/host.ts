// Hosts with ports as Host and authorities hold them (RFC 3986 section 3.2, RFC 9110 section 7.2).

import { isIPv6 } from 'node:net';
import { hexValue, isHostByte } from './tokens.ts';

const OPEN = 91; // [
const PERCENT = 37;
const PORT_MAX = 65535;

/** Whether `text` is uri-host [ ":" port ]: a name, an IPv4 address or an IPv6 address in brackets.
 *  The empty host is not one: an http URI must have a host (RFC 9110 section 4.2.1). */
export function hostValid(text: string): boolean {
  const portAt = hostEnd(text);
  return portAt > 0 && portValid(text, portAt);
}

/** The same with the port required: the authority-form that CONNECT uses (RFC 9112 section 3.2.3). */
export function authorityValid(text: string): boolean {
  const portAt = hostEnd(text);
  return portAt > 0 && portAt + 1 < text.length && portValid(text, portAt);
}

/** The port that a valid host names, or 0. */
export function portOf(host: string): number {
  const portAt = hostEnd(host);
  return portAt > 0 && portAt + 1 < host.length ? Number(host.slice(portAt + 1)) : 0;
}

/** A valid host as hosts are compared: in lower case, without port and final dot, an IPv6 address in
 *  its shortest form. */
export function canonicalHost(host: string): string {
  const portAt = hostEnd(host);
  const name = (portAt > 0 ? host.slice(0, portAt) : host).toLowerCase();
  if (name.charCodeAt(0) === OPEN)
    return URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : name;
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Index after the host, where ":" or the end must be; -1 if there is no valid host. */
function hostEnd(text: string): number {
  if (text.charCodeAt(0) === OPEN) {
    const close = text.indexOf(']');
    return close > 0 && literalValid(text.slice(1, close)) ? close + 1 : -1;
  }
  let at = 0;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 256 && isHostByte[code] === 1) continue;
    if (code !== PERCENT) break;
    if (hexAt(text, at + 1) === 255 || hexAt(text, at + 2) === 255) return -1;
    at += 2;
  }
  return at;
}

function portValid(text: string, portAt: number): boolean {
  if (portAt === text.length) return true;
  if (text.charCodeAt(portAt) !== 58 || text.length - portAt > 6) return false;
  let port = 0;
  for (let at = portAt + 1; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= PORT_MAX;
}

/** IPv6 without a zone: a zone means something only on the client's own machine (RFC 6874). The
 *  IPvFuture form is refused: no version of it exists. */
function literalValid(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function hexAt(text: string, at: number): number {
  return at < text.length ? (hexValue[text.charCodeAt(at) & 255] ?? 255) : 255;
}
