// Asks an upstream to switch protocols, by http-proxy's ws(): the handshake, and the pipes between both
// sockets after it. Its faults are closed here, each with the reason beside it; docs/decisions.md has the list.

import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import util from 'node:util';
import type httpProxy from 'http-proxy';
import type { Fields } from '../../http/exchange.ts';
import { dialOnce, type HttpAddress } from '../upstream/dial.ts';

export interface HandshakeRequest {
  readonly method: string;
  readonly target: string;
  /** With Connection and Upgrade. */
  readonly fields: Fields;
  /** The client's. Nothing is written to it or read from it before `onSwitch` has called join(). */
  readonly client: Socket;
  readonly address: HttpAddress;
  readonly connectTimeoutMs: number;
  /** Said first on the connection, in Latin-1; '' = nothing. */
  readonly preface: string;
  readonly events: HandshakeEvents;
}

export interface HandshakeEvents {
  /** 101. From join() on, both sockets are piped into each other. */
  onSwitch(answer: IncomingMessage, switched: Switched): void;
  /** Any other final answer. Heads above 16 KB, Node's own limit, are failures. */
  onAnswer(answer: IncomingMessage): void;
  onInform(status: number, fields: Fields): void;
  /** Nothing was answered. `reached`: some byte of the request may have got there. */
  onFailed(error: Error, reached: boolean): void;
}

export interface Switched {
  readonly upstream: Socket;
  /** Bytes of the new protocol that came with the answer; join() sends them on. */
  readonly headBytes: number;
  join(): void;
}

export interface Handshake {
  /** Ends it now, if no socket was handed out; nothing is heard of it any more. */
  destroy(): void;
}

type Joins = (answer: IncomingMessage, upstream: Socket, head: Buffer) => void;

/** Its agent knows where: http-proxy only wants one. */
const NOWHERE = { host: 'localhost', protocol: 'http:' };

let engine: Promise<httpProxy> | null = null;

/** http-proxy, loaded with the first upgrade: 6 MB that an edge without any need not have. */
export function loadEngine(): Promise<httpProxy> {
  engine ??= load();
  return engine;
}

async function load(): Promise<httpProxy> {
  // Deprecated since Node 22 and to be removed: http-proxy calls it for each request.
  Object.defineProperty(util, '_extend', { value: Object.assign, configurable: true });
  const { default: proxies } = await import('http-proxy');
  const proxy = proxies.createProxyServer({
    // url.parse() warns, and makes "/" of "\".
    toProxy: true,
    xfwd: false,
  });
  const passes = proxy as unknown as { wsPasses: readonly { name: string }[] };
  // Its first pass ends everything that is not GET and websocket; its second trusts X-Forwarded-*.
  const only = passes.wsPasses.filter((pass) => pass.name === 'stream');
  if (only.length !== 1) throw new Error('this is not the http-proxy that Portico was made with');
  passes.wsPasses = only;
  return proxy;
}

/** Throws for a request that Node would not send. */
export function beginHandshake(proxy: httpProxy, request: HandshakeRequest): Handshake {
  const { method, target, client, events } = request;
  const agent = new UpstreamAgent(request);
  let ask: ClientRequest | null = null;
  const take = (made: ClientRequest): void => {
    ask = made;
    // It joins "//" to "/".
    made.path = target;
  };
  proxy.once('proxyReqWs', take);
  try {
    proxy.ws(
      { method, url: target, headers: asHeaders(request.fields) } as IncomingMessage,
      client,
      Buffer.alloc(0),
      { target: NOWHERE, agent } as never,
    );
  } finally {
    proxy.off('proxyReqWs', take);
  }
  const made = ask as ClientRequest | null;
  if (made === null) throw new Error('http-proxy made no request');
  return takeOver(made, agent, events);
}

/** http-proxy's own listeners write an answer that is no 101 to the client with its framing undone, and end the
 *  client's connection for any error before the client is told anything. So they go; what is kept is the one
 *  that joins the sockets. */
function takeOver(ask: ClientRequest, agent: UpstreamAgent, events: HandshakeEvents): Handshake {
  const [joins] = ask.listeners('upgrade') as Joins[];
  if (joins === undefined) throw new Error('http-proxy does not listen for the upgrade');
  for (const event of ['upgrade', 'response', 'error']) ask.removeAllListeners(event);
  let isOver = false;
  const once = (act: () => void): void => {
    if (isOver) return;
    isOver = true;
    act();
  };
  ask.on('error', (error) => once(() => events.onFailed(error, agent.isConnected)));
  ask.on('response', (answer: IncomingMessage) => {
    answer.on('error', () => {});
    once(() => events.onAnswer(answer));
  });
  ask.on('upgrade', (answer: IncomingMessage, upstream: Socket, head: Buffer) => {
    upstream.on('error', () => {});
    const join = (): void => joins(answer, upstream, head);
    if (isOver) upstream.destroy();
    else once(() => events.onSwitch(answer, { upstream, headBytes: head.length, join }));
  });
  ask.on('information', ({ statusCode, rawHeaders }) => {
    if (isOver) return;
    if (statusCode !== 101) events.onInform(statusCode, rawHeaders);
    // Without Upgrade and Connection, which is how Node tells.
    else {
      once(() => events.onFailed(new Error('a 101 that names no protocol'), true));
      ask.destroy();
    }
  });
  return {
    destroy() {
      isOver = true;
      ask.destroy();
    },
  };
}

/** One connection for one request: what was asked to switch must not carry another. Node's own agent would keep
 *  lists of requests and sockets for each, a fifth of what an upgrade allocates; all that it wants of one is this. */
class UpstreamAgent {
  readonly defaultPort = 80;
  readonly protocol = 'http:';
  isConnected = false;
  private readonly request: HandshakeRequest;

  constructor(request: HandshakeRequest) {
    this.request = request;
  }

  addRequest(ask: ClientRequest): void {
    const { address, connectTimeoutMs, preface } = this.request;
    const socket = dialOnce(address, { preface, connectTimeoutMs }, () => {
      this.isConnected = true;
    });
    // So Node says that an answer is over which was no 101.
    socket.once('free', () => socket.destroy());
    ask.onSocket(socket);
  }
}

/** Repeated fields keep their number and the place of the first. */
export function asHeaders(fields: Fields): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const names = new Map<string, string>();
  for (let at = 0; at < fields.length; at += 2) {
    const value = fields[at + 1]!;
    const lower = fields[at]!.toLowerCase();
    // http-proxy copies by assignment, which would make this one the copy's prototype.
    if (lower === '__proto__') continue;
    const former = names.get(lower);
    if (former === undefined) {
      names.set(lower, fields[at]!);
      headers[fields[at]!] = value;
    } else headers[former] = [headers[former]!, value].flat();
  }
  return headers;
}
