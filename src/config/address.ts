// Reads the addresses and names that settings hold: where to listen, whom to trust, which app.

import { isIPv4, isIPv6 } from 'node:net';
import { trustEntryFault } from '../http/trust.ts';
import type { BindAddress } from './config.ts';
import { type Kind, readEntries, readParts, Unfit } from './kinds.ts';

/** "HOST:PORT", "[::]:PORT", ":PORT" (all IPv4 addresses, as Gunicorn has it), also with "https://" or "http://"
 *  before; "unix:PATH"; "fd://3", "fd://NAME" and, with TLS, "https+fd://NAME". */
export const bindAddress: Kind<BindAddress> = {
  expected:
    'HOST:PORT, [IPv6]:PORT, :PORT, https://HOST:PORT, unix:PATH or fd://NUMBER, with a port from 0 to 65535',
  placeholder: 'ADDRESS',
  inputType: 'string',
  flag: 'value',
  read(raw) {
    if (typeof raw === 'number') return new Unfit(`did you mean ":${raw}"?`);
    if (typeof raw !== 'string') return new Unfit();
    const given = raw.trim();
    if (given.startsWith('unix:')) {
      // "unix:///run/x.sock" is the URL spelling of "unix:/run/x.sock".
      const path = given.slice(5).replace(/^\/\/(?=\/)/, '');
      return path === '' || path.includes('\0') ? new Unfit() : { kind: 'unix', path, tls: false };
    }
    const passed = /^(https\+)?fd:\/\/([\w.@-]{1,255})$/.exec(given);
    if (passed !== null) return { kind: 'fd', name: passed[2]!, tls: passed[1] !== undefined };
    const [, scheme = ''] = /^(tcp|https?):\/\//i.exec(given) ?? [];
    const tls = scheme.toLowerCase() === 'https';
    // A URL as a browser shows it ends in a slash.
    const bare = scheme === '' ? given : given.slice(scheme.length + 3).replace(/\/$/, '');
    return tcpAddress(bare, tls);
  },
  show: showBind,
};

function tcpAddress(given: string, tls: boolean): BindAddress | Unfit {
  const scheme = tls ? 'https://' : '';
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(given);
  if (match === null) {
    if (/^\d{1,5}$/.test(given)) return new Unfit(`did you mean "${scheme}:${given}"?`);
    const bare = /^([0-9a-f:.]*:[0-9a-f:.]*):(\d{1,5})$/i.exec(given);
    if (bare !== null && isIPv6(bare[1]!))
      return new Unfit(`did you mean "${scheme}[${bare[1]}]:${bare[2]}"?`);
    if (/^[\w.-]+$/.test(given))
      return new Unfit(`did you mean "${scheme}${given}:${tls ? 8443 : 8000}"?`);
    return new Unfit();
  }
  const [, v6, name, portText] = match;
  const port = Number(portText);
  if (port > 65_535) return new Unfit();
  if (v6 !== undefined) return isIPv6(v6) ? { kind: 'tcp', host: v6, port, tls } : new Unfit();
  const host = name === '' || name === '*' ? '0.0.0.0' : name!;
  const named = /^[A-Za-z0-9]([\w-]*\.)*[\w-]*$/.test(host) && !/^[\d.]+$/.test(host);
  return isIPv4(host) || named ? { kind: 'tcp', host, port, tls } : new Unfit();
}

export function showBind(address: BindAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  if (address.kind === 'fd') return `${address.tls ? 'https+' : ''}fd://${address.name}`;
  const host = isIPv6(address.host) ? `[${address.host}]` : address.host;
  return `${address.tls ? 'https://' : ''}${host}:${address.port}`;
}

/** An IP address, a CIDR block, "unix" (peers on Unix sockets), or "*" (everyone). */
export const trustedPeer: Kind<string> = {
  expected: 'an IP address, a CIDR block such as 10.0.0.0/8, "unix" or "*"',
  placeholder: 'IPS',
  inputType: 'string',
  flag: 'value',
  read(raw) {
    if (typeof raw !== 'string') return new Unfit();
    const given = raw.trim();
    return trustEntryFault(given) === null ? given : new Unfit();
  },
  show: (value) => value,
};

const variableExpected = 'NAME=VALUE';

/** ["A=1"], "A=1" or { A: '1' } → { A: '1' }. Text holds one pair: values may have commas. */
export const variables: Kind<Record<string, string>> = {
  expected: variableExpected,
  placeholder: 'NAME=VALUE',
  inputType: 'string | readonly string[] | Readonly<Record<string, string | number | boolean>>',
  flag: 'repeat',
  read(raw) {
    const parts = typeof raw === 'string' ? [raw] : raw;
    if (parts === null || typeof parts !== 'object') return new Unfit();
    const pairs = Array.isArray(parts)
      ? readParts(parts, (part: unknown) => readVariable(...splitPair(part)))
      : readEntries(parts, readVariable);
    // fromEntries makes own properties even of "__proto__".
    return pairs instanceof Unfit ? pairs : Object.fromEntries(pairs);
  },
  show: (value) =>
    Object.entries(value)
      .map(([name, set]) => `${name}=${set}`)
      .join(', ') || 'none',
};

function readVariable(name: string, value: unknown): [string, string] | Unfit {
  if (!/^[^=\0\s]+$/.test(name)) return new Unfit();
  if (!['string', 'number', 'boolean'].includes(typeof value)) return new Unfit();
  return String(value).includes('\0') ? new Unfit() : [name, String(value)];
}

function splitPair(part: unknown): [string, unknown] {
  if (typeof part !== 'string') return ['', null];
  const at = part.indexOf('=');
  return at === -1 ? ['', null] : [part.slice(0, at), part.slice(at + 1)];
}

export interface AppName {
  readonly module: string;
  readonly export: string | null;
}

/** "app.js", "./dist/server.mjs:app", "@scope/package:createApp('production')". */
export const appName: Kind<AppName> = {
  expected: 'MODULE or MODULE:EXPORT such as app.js:app',
  placeholder: 'MODULE[:EXPORT]',
  inputType: 'string',
  flag: 'value',
  read(raw) {
    if (typeof raw !== 'string' || raw === '' || raw.includes('\0')) return new Unfit();
    if (!raw.includes(':')) return { module: raw, export: null };
    const match = /^(.+?):([\p{ID_Start}$_][\p{ID_Continue}$.]*(?:\(.*\))?)$/u.exec(raw);
    return match === null ? new Unfit() : { module: match[1]!, export: match[2]! };
  },
  show: (app) => (app.export === null ? app.module : `${app.module}:${app.export}`),
};
