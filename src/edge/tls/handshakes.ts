// Handshakes under way: from an accepted connection of an https:// bind to a TLSSocket with facts, within limits.
//
//   waiting ──first bytes──▶ hello ──all of the first record──▶ shaking ──▶ HTTP/1.1 or HTTP/2
//      └─────────────────────┴── too slow, no TLS, left ────────┴──▶ over

import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { TlsFacts } from '../../http/exchange.ts';
import { plainAddress } from '../../http/trust.ts';
import type { HandshakeFailure, TlsStatus } from '../../ipc/messages.ts';
import { keepOrigin, originOf } from '../listener/preambles.ts';
import { type HelloFacts, readFirstBytes } from './client-hello.ts';
import { tlsFacts } from './tls-facts.ts';
import { startTls, type TakeBytes, type TlsSocketOptions } from './tls-socket.ts';

export interface HandshakeOptions {
  readonly timeoutMs: number;
  /** Under way at a time. */
  readonly most: number;
  readonly http2: boolean;
  /** Clients are asked for a certificate. */
  readonly asksForCertificate: boolean;
}

export interface TlsDeps {
  readonly options: () => HandshakeOptions;
  readonly certificates: Certificates;
  /** The answer to ACME's challenge tls-alpn-01 (RFC 8737); null = none is awaited for the name. */
  readonly alpnChallenge: (serverName: string) => SecureContext | null;
  /** The OCSP response at hand for what this ClientHello gets of the context. */
  readonly staple: (context: SecureContext, hello: Buffer) => Buffer | null;
  readonly onFailed: (reason: HandshakeFailure, address: string, detail: string) => void;
}

interface Certificates {
  select(serverName: string | undefined): SecureContext | null;
  /** Accepts tickets of the former key for what runs in `begin`. */
  withTicketsOf(hello: Buffer, context: SecureContext, begin: () => void): void;
}

/** Who takes the connection on. */
export interface Takers {
  /** Returns who gets the bytes. */
  http1(socket: TLSSocket, tls: TlsFacts): TakeBytes;
  http2(socket: TLSSocket, tls: TlsFacts): void;
  /** HTTP without TLS: says so. */
  plainHttp(socket: Socket): void;
  /** The last one under way has ended. */
  onEmpty(): void;
}

/** At the limit the oldest one makes room if it has had this part of its time: it is stalled, or held open
 *  on purpose. Before, a rush of honest clients would throw out those that are nearly done. */
const STALLED_PART = 0.25;

/** Deadlines are kept this exactly. */
const SWEEP_MS = 250;

const http1Only = wire(['http/1.1']);
const http2First = wire(['h2', 'http/1.1']);
const acmeOnly = wire(['acme-tls/1']);
const ACME = 'acme-tls/1';

/** unrecognized_name, fatal, as a record (RFC 8446 section 6): what OpenSSL would send, at the cost of no
 *  handshake. */
const unrecognizedName = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

export class Handshakes {
  private readonly deps: TlsDeps;
  private readonly takers: Takers;
  /** In the order in which they began. */
  private readonly underWay = new Set<Handshake>();
  private readonly counts = { full: 0, resumed: 0 };
  private readonly failures: Record<HandshakeFailure, number> = {
    timeout: 0,
    http: 0,
    garbage: 0,
    name: 0,
    crowd: 0,
    left: 0,
    protocol: 0,
  };

  private timer: NodeJS.Timeout | null = null;

  constructor(deps: TlsDeps, takers: Takers) {
    this.deps = deps;
    this.takers = takers;
  }

  get size(): number {
    return this.underWay.size;
  }

  status(): TlsStatus {
    return { underWay: this.size, ...this.counts, failures: { ...this.failures } };
  }

  /** Takes on a connection just accepted and paused. */
  begin(accepted: Socket): void {
    const options = this.deps.options();
    const nowMs = performance.now();
    if (this.size >= options.most && !this.makeRoom(nowMs, options)) {
      this.failures.crowd++;
      this.deps.onFailed('crowd', plainAddress(accepted.remoteAddress), '');
      accepted.destroy();
      return;
    }
    this.underWay.add(new Handshake(this, accepted, nowMs + options.timeoutMs));
    this.timer ??= setInterval(this.sweep, SWEEP_MS).unref();
  }

  /** Ends those whose time is over. */
  private readonly sweep = (): void => {
    if (this.size === 0 && this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
    }
    const nowMs = performance.now();
    for (const handshake of this.underWay) {
      // A reload that changes the time may let a few wait behind one with more; never for long.
      if (nowMs < handshake.deadlineMs) break;
      handshake.end('timeout', handshake.stage);
    }
  };

  /** Of an edge that drains: a client that has sent nothing yet is not waited for. */
  endIdle(): void {
    for (const handshake of this.underWay)
      if (handshake.stage === 'waiting') handshake.end(null, '');
  }

  endAll(): void {
    for (const handshake of this.underWay) handshake.end(null, '');
  }

  private makeRoom(nowMs: number, { timeoutMs }: HandshakeOptions): boolean {
    const [oldest] = this.underWay;
    if (oldest === undefined) return false;
    if (oldest.deadlineMs - nowMs > timeoutMs * (1 - STALLED_PART)) return false;
    oldest.end('crowd', oldest.stage);
    return true;
  }

  // ── what a handshake says ──

  /** How to go on with a client that asks for this; null = it is refused. */
  settingsFor(
    facts: HelloFacts | null,
    hello: Buffer,
  ): { options: TlsSocketOptions; isAcme: boolean } | null {
    const { options, certificates, alpnChallenge } = this.deps;
    const { http2, asksForCertificate } = options();
    const protocols = http2 ? http2First : http1Only;
    const common = { protocols, requestCert: asksForCertificate, selectByName: null, staple: null };
    if (facts?.protocols.includes(ACME)) {
      const secureContext = alpnChallenge(facts.serverName ?? '');
      const acme = { ...common, protocols: acmeOnly, requestCert: false };
      if (secureContext !== null) return { options: { ...acme, secureContext }, isAcme: true };
    }
    const secureContext = certificates.select(facts?.serverName ?? undefined);
    if (secureContext === null) return null;
    const selectByName = facts === null ? this.selectByName : null;
    const staple = facts?.asksForStaple ? this.deps.staple(secureContext, hello) : null;
    return { options: { ...common, secureContext, selectByName, staple }, isAcme: false };
  }

  private readonly selectByName = (
    name: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ): void => {
    const context = this.deps.certificates.select(name);
    if (context === null) done(new Error(`no certificate for ${name}`));
    else done(null, context);
  };

  withTicketsOf(hello: Buffer, context: SecureContext, begin: () => void): void {
    this.deps.certificates.withTicketsOf(hello, context, begin);
  }

  speaksHttp2({ protocols }: HelloFacts): boolean {
    return this.deps.options().http2 && protocols.includes('h2');
  }

  /** Handed over, or over. `failure` null: nobody is to blame. */
  ended(handshake: Handshake, failure: HandshakeFailure | null, detail: string): void {
    if (!this.underWay.delete(handshake)) return;
    if (failure !== null) {
      this.failures[failure]++;
      this.deps.onFailed(failure, handshake.address, detail);
    }
    if (this.size === 0) this.takers.onEmpty();
  }

  plainHttp(handshake: Handshake, socket: Socket): void {
    this.takers.plainHttp(socket);
    this.ended(handshake, 'http', '');
  }

  /** Returns who gets the bytes of HTTP/1.1. */
  finished(handshake: Handshake, socket: TLSSocket): TakeBytes | null {
    const tls = tlsFacts(socket, this.deps.options().asksForCertificate);
    this.counts[socket.isSessionReused() ? 'resumed' : 'full']++;
    let take: TakeBytes | null = null;
    if (socket.alpnProtocol === 'h2') this.takers.http2(socket, tls);
    else take = this.takers.http1(socket, tls);
    this.ended(handshake, null, '');
    return take;
  }
}

class Handshake {
  stage: 'waiting' | 'hello' | 'shaking' = 'waiting';
  readonly deadlineMs: number;
  readonly address: string;
  private readonly all: Handshakes;
  private socket: Socket;
  private read: Buffer | null = null;
  private isOver = false;
  private take: TakeBytes | null = null;

  constructor(all: Handshakes, accepted: Socket, deadlineMs: number) {
    this.all = all;
    this.deadlineMs = deadlineMs;
    this.socket = accepted;
    this.address = originOf(accepted)?.address ?? plainAddress(accepted.remoteAddress);
    accepted.on('error', this.onGone);
    accepted.on('end', this.onGone);
    accepted.on('close', this.onGone);
    accepted.on('data', this.onFirstBytes);
    accepted.resume();
  }

  end(failure: HandshakeFailure | null, detail: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.all.ended(this, failure, detail);
    this.socket.destroy();
  }

  /** Before TLS began. Who leaves without a word is a health check, and no failure. */
  private readonly onGone = (): void => {
    this.end(this.stage === 'waiting' ? null : 'left', this.stage);
  };

  private readonly onFirstBytes = (chunk: Buffer): void => {
    if (this.isOver) return;
    this.stage = 'hello';
    this.read = this.read === null ? chunk : Buffer.concat([this.read, chunk]);
    const first = readFirstBytes(this.read);
    switch (first.kind) {
      case 'partial':
        return;
      case 'http':
        this.release();
        this.isOver = true;
        this.all.plainHttp(this, this.socket);
        return;
      case 'other':
        this.end('garbage', '');
        return;
      case 'hello':
        this.release();
        this.shake(this.read, first.facts);
        return;
      default:
        throw new Error(`unknown bytes ${JSON.stringify(first satisfies never)}`);
    }
  };

  /** The accepted socket belongs to somebody else now. */
  private release(): void {
    const { socket } = this;
    socket.pause();
    for (const name of ['error', 'end', 'close'] as const) socket.off(name, this.onGone);
    socket.off('data', this.onFirstBytes);
  }

  private shake(hello: Buffer, facts: HelloFacts | null): void {
    this.stage = 'shaking';
    this.read = null;
    const settings = this.all.settingsFor(facts, hello);
    if (settings === null) {
      this.socket.on('error', () => {});
      this.socket.end(unrecognizedName);
      this.end('name', facts?.serverName ?? '');
      return;
    }
    const { options, isAcme } = settings;
    // HTTP/2 reads its socket by itself.
    const mayBeHttp2 = facts === null || this.all.speaksHttp2(facts);
    const onBytes = isAcme || mayBeHttp2 ? null : this.onBytes;
    this.all.withTicketsOf(hello, options.secureContext, () => {
      const socket = startTls(this.socket, hello, options, onBytes);
      if (socket === null) this.end('left', this.stage);
      else {
        keepOrigin(this.socket, socket);
        this.listenTo(socket, isAcme, onBytes === null);
      }
    });
  }

  private listenTo(socket: TLSSocket, isAcme: boolean, isStream: boolean): void {
    this.socket = socket;
    // While the handshake lasts an error ends the socket; later Node only says it.
    socket.on('_tlsError', (error: Error & { reason?: string; code?: string }) => {
      this.end('protocol', error.reason ?? error.code ?? error.message);
      socket.destroy();
    });
    socket.on('error', () => {});
    // Half-closed is no state to shake hands in.
    const onGone = (): void => this.end('left', this.stage);
    socket.once('end', onGone);
    socket.on('close', onGone);
    socket.on('secure', () => {
      if (this.isOver) return;
      this.isOver = true;
      socket.off('end', onGone);
      // As Node's own server does: HTTP/2 waits for it.
      (socket as { secureConnecting?: boolean }).secureConnecting = false;
      if (isAcme) {
        // That was all (RFC 8737 section 3).
        this.all.ended(this, null, '');
        socket.end();
        return;
      }
      this.take = this.all.finished(this, socket);
      if (isStream && this.take !== null) socket.on('data', this.take);
    });
  }

  private readonly onBytes = (bytes: Buffer): void => {
    this.take?.(bytes);
  };
}

function wire(protocols: readonly string[]): Buffer {
  return Buffer.concat(protocols.map((name) => Buffer.from([name.length, ...Buffer.from(name)])));
}
