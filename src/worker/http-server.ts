// Tells HTTP servers from other servers.

import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

/** True for what http, https and http2 create. */
export function isHttpServer(value: unknown): value is http.Server {
  if (!(value instanceof net.Server)) return false;
  return value instanceof http.Server || isTlsServer(value) || isHttp2Server(value);
}

export function isTlsServer(value: net.Server): boolean {
  return value instanceof https.Server || value.constructor.name === 'Http2SecureServer';
}

/** node:http2 exports no classes to compare with. */
export function isHttp2Server(value: net.Server): boolean {
  return /^Http2(Secure)?Server$/.test(value.constructor.name);
}
