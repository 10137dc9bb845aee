// An HTTP upstream: a pool whose members are the addresses of its targets, as DNS has them, instead of workers.

import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import {
  showTarget,
  type UpstreamConfig,
  type UpstreamTarget,
} from '../../config/upstream-config.ts';
import { type Failure, failure } from '../../errors/failure.ts';
import type { ClientFacts } from '../../http/exchange.ts';
import type { UpstreamStatus } from '../../ipc/messages.ts';
import type { ConnectOptions } from '../../link/edge-end.ts';
import type { Link } from '../../link/link.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Backend } from '../balancer/backend.ts';
import { Pool } from '../balancer/pool.ts';
import type { HttpAddress } from './dial.ts';
import { connectHttp } from './http-link.ts';
import { Member } from './member.ts';
import { createResolver, findAddresses } from './names.ts';
import { proxyHeader } from './proxy-protocol.ts';

/** How exactly trials, slow starts and the like are kept. */
const TICK_MS = 200;
/** Between two questions to DNS at least, whatever it says. */
const RESOLVE_MS_MIN = 500;
/** A name that is not there any more is believed to be gone after so many answers: servers of DNS err. */
const GONE_AFTER = 2;

/** One address, and the target it came from. */
interface Place {
  readonly id: number;
  readonly key: string;
  readonly address: HttpAddress;
  readonly target: UpstreamTarget;
  readonly member: Member;
}

/** Throws where a file can't be read. `servers`: of DNS, in place of the system's, for tests. */
export function createUpstream(
  settings: UpstreamConfig,
  log: Log,
  servers: readonly string[] | null = null,
): Upstream {
  return new Upstream(settings, log, servers);
}

export class Upstream {
  readonly settings: UpstreamConfig;
  readonly pool: Pool;
  /** Its targets, for logs and status. */
  readonly name: string;
  /** Name of the cookie that leads to one of its members. */
  readonly cookie: string;

  private readonly log: Log;
  private readonly resolver;
  private readonly tls: SecureContext | null;
  private readonly preamble: ((client: ClientFacts | null) => string) | null;
  /** By the place of their target in the settings. */
  private readonly places: Map<string, Place>[];
  private readonly byId = new Map<number, Place>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly ticker: NodeJS.Timeout;
  /** Of members: below 0, for those above are workers'. */
  private lastId = 0;
  /** Since when no member takes requests; null = one does. */
  private noneSinceMs: number | null = null;
  private whyNone = '';
  private isClosed = false;

  constructor(settings: UpstreamConfig, log: Log, servers: readonly string[] | null) {
    this.settings = settings;
    this.log = log;
    this.name = settings.targets.map(showTarget).join(', ');
    this.cookie = `portico_upstream_${stableNumber(this.name).toString(36)}`;
    this.tls = settings.targets.some(({ protocol }) => protocol === 'https')
      ? secureContext(settings.tls.caFile)
      : null;
    const { proxyProtocol } = settings;
    this.preamble = proxyProtocol === 0 ? null : (client) => proxyHeader(proxyProtocol, client);
    this.resolver = createResolver(servers);
    this.places = settings.targets.map(() => new Map());
    this.pool = new Pool({
      settings,
      connect: (options, { id }) => this.connect(options, this.byId.get(id)!),
      log,
      weighted: settings.slowStartMs > 0 || settings.targets.some(({ weight }) => weight !== 1),
      onFailed: (backend, reason) => this.onFailed(backend, reason),
    });
    this.ticker = setInterval(() => this.tick(performance.now()), TICK_MS).unref();
    settings.targets.forEach((target, at) => {
      if (target.kind === 'unix') this.use(at, [target.path]);
      else void this.resolve(at, 0);
    });
  }

  status(): UpstreamStatus {
    return {
      name: this.name,
      queued: this.pool.queued,
      members: [...this.byId.values()].map(({ member }) => ({
        address: member.name,
        state: member.state,
        weight: member.weight,
        inFlight: member.inFlight,
        served: member.served,
        failures: member.failures,
        lastFailure: member.lastFailure,
      })),
    };
  }

  /** No new request will come: what waits or is in flight finishes, then all connections end. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.resolver.cancel();
    if (this.isIdle) this.leave();
  }

  private get isIdle(): boolean {
    for (const { member } of this.byId.values()) if (member.inFlight > 0) return false;
    return this.pool.queued === 0;
  }

  // ── members

  /** Looks the name up, again and again. */
  private async resolve(at: number, missed: number): Promise<void> {
    const { host } = this.settings.targets[at]!;
    let absent = missed;
    let waitMs = this.settings.resolveMs;
    try {
      const { addresses, ttlMs } = await findAddresses(host, this.resolver);
      if (this.isClosed) return;
      absent = addresses.length === 0 ? missed + 1 : 0;
      if (absent === 0) this.use(at, addresses);
      else if (absent >= GONE_AFTER) this.use(at, []);
      if (absent === 1) this.sayUnknown(host, 'there is no such name');
      waitMs = Math.max(RESOLVE_MS_MIN, Math.min(waitMs, ttlMs ?? waitMs));
    } catch (error) {
      if (this.isClosed) return;
      // Those that are known stay: a server of DNS that is down says nothing about them.
      this.sayUnknown(host, (error as Error).message);
    }
    if (this.isClosed) return;
    if (absent > 0 || this.places[at]!.size === 0) waitMs = Math.min(waitMs, RESOLVE_MS_MIN * 2);
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      void this.resolve(at, absent);
    }, waitMs).unref();
    this.timers.add(timer);
  }

  private sayUnknown(host: string, detail: string): void {
    this.whyNone = `${host}: ${detail}`;
    this.log.debug('the name of an upstream was not found', { upstream: this.name, host, detail });
  }

  /** These are the addresses of the target now. */
  private use(at: number, addresses: readonly string[]): void {
    const target = this.settings.targets[at]!;
    const places = this.places[at]!;
    for (const [address, place] of places) if (!addresses.includes(address)) this.remove(at, place);
    for (const address of addresses) if (!places.has(address)) this.add(at, target, address);
  }

  private add(at: number, target: UpstreamTarget, key: string): void {
    const { settings, log } = this;
    const id = --this.lastId;
    const address = this.addressOf(target, key);
    const name = nameOf(target, key);
    const host = hostOf(settings.hostField === 'client' ? 'target' : settings.hostField, target);
    const member = new Member({
      ...{ settings, name, weight: target.weight, log, upstream: this.name },
      question: { address, host, preamble: this.preamble },
      hasOthers: (asking) => this.hasOthers(asking),
    });
    const place: Place = { id, key, address, target, member };
    this.byId.set(id, place);
    this.places[at]!.set(key, place);
    const [backend] = this.pool.admit({
      ...{ id, slot: stableNumber(name), pid: 0, app: '', protocol: 'http', sockets: [key] },
      ...{ capacity: settings.maxConnections, name, weight: target.weight },
      ...{ leavesWhenIdle: false, retireAfter: 0 },
      http: {
        ...{ address, connectTimeoutMs: settings.connectTimeoutMs, preamble: this.preamble },
        host: settings.hostField === 'client' ? null : host,
      },
    });
    member.begin(backend!);
    log.debug('an upstream has another address', { upstream: this.name, member: name });
  }

  private remove(at: number, { id, key, member }: Place): void {
    member.stop();
    this.places[at]!.delete(key);
    this.byId.delete(id);
    this.pool.withdraw(id);
    this.log.debug('an upstream has lost an address', { upstream: this.name, member: member.name });
  }

  private addressOf(target: UpstreamTarget, key: string): HttpAddress {
    if (target.kind === 'unix') return { kind: 'unix', path: key };
    const { protocol, host, port } = target;
    const { serverName, verify } = this.settings.tls;
    const tls =
      protocol === 'http'
        ? null
        : { context: this.tls!, serverName: serverName ?? host, verify, session: null };
    return { kind: 'tcp', host: key, port, tls };
  }

  private connect({ onUp, onDown, log }: ConnectOptions, place: Place): Link {
    const { settings } = this;
    return connectHttp({
      address: place.address,
      settings: {
        connectTimeoutMs: settings.connectTimeoutMs,
        idleTimeoutMs: settings.idleTimeoutMs,
        keepAliveMs: settings.keepAliveMs,
        maxConnections: settings.maxConnections,
        idleConnections: settings.idleConnections,
        host: settings.hostField === 'client' ? null : hostOf(settings.hostField, place.target),
      },
      preamble: this.preamble,
      onUp: () => {
        place.member.reached();
        onUp();
      },
      onDown: (reason) => {
        if (reason !== null) this.onLost(place.member, reason.detail || reason.code);
        onDown(reason);
      },
      ...(log === undefined ? {} : { log }),
    });
  }

  // ── how they are

  private onLost(member: Member, detail: string): void {
    this.whyNone = `${member.name}: ${detail}`;
    member.lost(detail);
  }

  private onFailed(backend: Backend, reason: Failure): void {
    if (reason.blame !== 'upstream') return;
    this.byId.get(backend.workerId)?.member.failed(reason, performance.now());
  }

  private hasOthers(asking: Member): boolean {
    for (const { member } of this.byId.values())
      if (member !== asking && member.takesRequests) return true;
    return false;
  }

  private tick(nowMs: number): void {
    for (const { member } of this.byId.values()) member.tick(nowMs);
    this.lookForNone(nowMs);
    // A request that fails meanwhile may be sent to another member.
    if (this.isClosed && this.isIdle) this.leave();
  }

  /** Requests wait for a member that restarts, but not for long where there is none. */
  private lookForNone(nowMs: number): void {
    const hasOne = this.pool.workersReady > 0;
    if (hasOne) {
      if (this.noneSinceMs !== null) this.pool.refuse(null);
      this.noneSinceMs = null;
      return;
    }
    const isNew = this.noneSinceMs === null;
    this.noneSinceMs ??= nowMs;
    if (isNew || nowMs - this.noneSinceMs < this.settings.connectTimeoutMs) return;
    this.pool.refuse(failure('UPSTREAM_NONE', this.whyNone));
  }

  private leave(): void {
    clearInterval(this.ticker);
    this.places.forEach((places, at) => {
      for (const place of [...places.values()]) this.remove(at, place);
    });
  }
}

function secureContext(caFile: string | null): SecureContext {
  return createSecureContext(caFile === null ? {} : { ca: readFileSync(caFile) });
}

/** As in a URL. */
function nameOf({ kind, port }: UpstreamTarget, key: string): string {
  if (kind === 'unix') return `unix:${key}`;
  return `${isIPv6(key) ? `[${key}]` : key}:${port}`;
}

/** For Host. The usual port of its protocol is not said (RFC 9110 section 7.2). */
function hostOf(hostField: string, { kind, protocol, host, port }: UpstreamTarget): string {
  if (hostField !== 'target') return hostField;
  if (kind === 'unix') return 'localhost';
  const name = isIPv6(host) ? `[${host}]` : host;
  return port === (protocol === 'https' ? 443 : 80) ? name : `${name}:${port}`;
}

/** The same for the same address in each edge and after each start: sticky cookies lead by it. */
function stableNumber(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
