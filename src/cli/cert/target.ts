// What `portico cert inspect` is to look at: a file, or a server.

import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { readHost } from '../../certificates/hosts.ts';

export type Target =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'server'; readonly host: string; readonly port: number };

/** "example.com", "example.com:8443", "[::1]:443", "https://example.com/path"; a file of the name comes first. */
export function readTarget(text: string): Target | string {
  if (/^https?:\/\//i.test(text)) return ofUrl(text);
  if (statSync(text, { throwIfNoEntry: false }) !== undefined) return { kind: 'file', path: text };
  const looksLikeFile = /[/\\]|\.(pem|crt|cer|der|p12|pfx|key|p7b)$/i.test(text);
  if (looksLikeFile) return `There is no file ${text}`;
  if (isIP(text) !== 0) return { kind: 'server', host: text, port: 443 };
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? 443);
  const isHost = match?.[1] === undefined ? readHost(host) !== null : isIP(host) === 6;
  // "localhost" is a host also without a port; "certificat" more likely a slip.
  const isMeant = match?.[3] !== undefined || host.includes('.') || host === 'localhost';
  if (!isHost || !isMeant || host.includes('*') || port < 1 || port > 65_535)
    return `${text} is neither a file that is there, nor HOST:PORT`;
  return { kind: 'server', host, port };
}

function ofUrl(text: string): Target | string {
  try {
    const { protocol, hostname, port } = new URL(text);
    if (protocol === 'http:') return `${text} is plain HTTP, where there is no certificate`;
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    return { kind: 'server', host, port: port === '' ? 443 : Number(port) };
  } catch {
    return `${text} is no URL`;
  }
}
