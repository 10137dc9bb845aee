// The edge: the parts that outlive a reload (sockets, links, the queue), and what is composed of the settings.

import type { BindAddress, Config } from '../config/config.ts';
import { failure } from '../errors/failure.ts';
import { createTrust } from '../http/trust.ts';
import type { EdgeStatus, Purge, TlsFiles } from '../ipc/messages.ts';
import type { Log } from '../telemetry/log.ts';
import { type AccessLog, createAccessLog } from './access-log/access-log.ts';
import { AcmeLane } from './acme/lane.ts';
import { Cache } from './cache/cache.ts';
import { type Composed, compose } from './compose.ts';
import { Slots } from './compression/slots.ts';
import { type ErrorPages, loadErrorPages } from './error-pages/error-pages.ts';
import { logFailure, logHandshake, logPreamble } from './failures.ts';
import type { HealthFacts } from './health.ts';
import { createListener, type Listener, type ListenerOptions } from './listener/listener.ts';
import { Pools } from './pools.ts';
import { Refusals } from './refusals.ts';
import type { SettledExchange } from './settled-exchange.ts';
import { filePairs, storeSettings } from './tls/certificate-files.ts';
import { CertificateStore } from './tls/certificate-store.ts';
import type { HandshakeOptions } from './tls/handshakes.ts';
import { Stapling } from './tls/stapling.ts';
import { Upgrades } from './upgrade/upgrades.ts';

/** What an answer takes to reach its client before a drain cuts its connection. */
const lastAnswersMs = 100;

/** What is stored outlives new settings, unless its size is another one. */
function cacheFor(config: Config, former: Cache | null): Cache | null {
  if (config.cacheBytes === 0) return null;
  return former?.bytesMax === config.cacheBytes ? former : new Cache(config);
}

/** Of settings that are not yet in force. */
interface Prepared {
  readonly errorPages: ErrorPages;
  readonly cache: Cache | null;
  readonly composed: Composed;
}

/** One edge: what is composed from the settings is replaced as a whole by a reload, what lives
 *  longer (sockets, links, the queue) stays. */
export class Edge {
  readonly pools: Pools;
  readonly upgrades: Upgrades;
  readonly listener: Listener;
  /** For the https:// binds. */
  readonly certificates: CertificateStore;
  /** Their OCSP responses. */
  readonly stapling: Stapling;
  readonly compressing = new Slots();
  /** Also answers tls-alpn-01. */
  readonly acme: AcmeLane;

  private readonly log: Log;
  private readonly refusals: Refusals;
  private config: Config;
  private composed: Composed;
  private listenerOptions: ListenerOptions;
  private handshakeOptions: HandshakeOptions;
  private accessLog: AccessLog | null;
  private cache: Cache | null;
  private served = 0;
  private isStopping = false;
  /** By key, of the https:// binds. */
  private readonly httpsPorts = new Map<string, number>();

  /** Throws where a setting can't be put to work. */
  constructor(config: Config, tls: TlsFiles, log: Log) {
    this.log = log;
    this.refusals = new Refusals(log);
    this.config = config;
    this.pools = new Pools(config, log);
    this.upgrades = new Upgrades(config);
    this.certificates = new CertificateStore(storeSettings(config, tls), filePairs(config, tls));
    this.stapling = new Stapling(log, this.certificates);
    this.acme = new AcmeLane(log, this.certificates);
    const useAcme = this.acme.prepare(config);
    const errorPages = loadErrorPages(config.errorPages);
    this.cache = cacheFor(config, null);
    this.composed = this.compose(config, errorPages, this.cache);
    this.accessLog = createAccessLog(config, log);
    this.listenerOptions = listenerOptions(config, errorPages);
    this.handshakeOptions = handshakeOptions(config);
    this.listener = createListener({
      handle: (exchange) => this.composed.handle(exchange),
      options: () => this.listenerOptions,
      onSettled: (exchange) => this.onSettled(exchange),
      onPreambleRefused: (address, why) => logPreamble(log, this.refusals, { address, why }),
      tls: {
        options: () => this.handshakeOptions,
        certificates: this.certificates,
        alpnChallenge: (serverName) => this.acme.tlsAlpn(serverName),
        staple: (context, hello) => this.stapling.stapleFor(context, hello),
        onFailed: (reason, address, detail) =>
          logHandshake(log, this.refusals, { reason, address, detail }),
      },
      log,
    });
    useAcme();
    this.stapling.configure(config);
  }

  /** New requests meet the new settings, those under way finish by the old ones, and no connection
   *  notices. Throws where a setting can't be put to work: then all stays as it was. */
  configure(config: Config, tls: TlsFiles): void {
    const errorPages = loadErrorPages(config.errorPages);
    const cache = cacheFor(config, this.cache);
    const composed = this.compose(config, errorPages, cache);
    try {
      this.use(config, tls, { errorPages, cache, composed });
    } catch (error) {
      composed.close();
      throw error;
    }
  }

  private use(config: Config, tls: TlsFiles, { errorPages, cache, composed }: Prepared): void {
    const { accessLogfile, accessLogformat } = this.config;
    const logsElsewhere =
      config.accessLogfile !== accessLogfile || config.accessLogformat !== accessLogformat;
    const accessLog = logsElsewhere ? createAccessLog(config, this.log) : this.accessLog;
    const useAcme = this.acme.prepare(config);
    // The last that may fail.
    this.certificates.configure(storeSettings(config, tls), filePairs(config, tls));
    // From here on nothing fails.
    this.config = config;
    this.composed.close();
    this.composed = composed;
    this.cache = cache;
    if (cache !== null) cache.settings = config;
    if (logsElsewhere) this.accessLog?.close();
    this.accessLog = accessLog;
    this.listenerOptions = listenerOptions(config, errorPages);
    this.handshakeOptions = handshakeOptions(config);
    this.pools.configure(config);
    this.upgrades.settings = config;
    useAcme();
    this.stapling.configure(config);
  }

  /** Files of certificates have changed: new handshakes meet what is in them now. */
  useCertificates(tls: TlsFiles): void {
    const { config } = this;
    try {
      this.certificates.configure(storeSettings(config, tls), filePairs(config, tls));
    } catch (error) {
      this.log.error('cannot use a changed certificate, the former ones stay', { error });
    }
  }

  async listen(key: string, address: BindAddress, handle: unknown): Promise<void> {
    // The first handshakes shall find a certificate.
    if (address.tls) await this.acme.ready();
    await this.listener.listen(key, handle, address, this.config.backlog);
    if (address.kind === 'tcp' && address.tls) this.httpsPorts.set(key, address.port);
  }

  unlisten(key: string): void {
    this.httpsPorts.delete(key);
    void this.listener.unlisten(key);
  }

  /** From now on nothing more is sent to the worker; what is open finishes. */
  withdraw(workerId: number, onWithdrawn: () => void): void {
    this.pools.withdraw(workerId, onWithdrawn);
    this.upgrades.withdraw(workerId);
  }

  /** See Pool.spent(). */
  spent() {
    return this.pools.spent();
  }

  /** The worker's process has ended, wanted or not. */
  gone(workerId: number): void {
    this.pools.gone(workerId);
    this.upgrades.gone(workerId);
  }

  status(): EdgeStatus {
    return {
      pid: process.pid,
      connections: this.listener.connections,
      requestsInFlight: this.listener.requestsInFlight,
      requestsServed: this.served,
      queued: this.pools.queued,
      rssBytes: process.memoryUsage.rss(),
      cache: this.cache?.stats() ?? null,
      tls: this.listener.tls,
      acme: this.acme.status(),
      certificates: this.certificates.summary((certPem) => this.stapling.status(certPem)),
      upstreams: this.composed.upstreams(),
      routes: this.composed.routes(),
      workers: this.pools.status(),
    };
  }

  /** Forgets stored responses; returns how many. */
  purge(what: Purge): number {
    return this.cache?.purge(what) ?? 0;
  }

  reopenLogs(): void {
    this.accessLog?.reopen();
  }

  /** Stops accepting and finishes what is open. */
  async drain(deadlineMs: number): Promise<void> {
    this.isStopping = true;
    const stopped = this.acme.close();
    this.stapling.close();
    // Those who wait for a worker are answered before their connections are cut.
    const refuse = (): void => {
      const reason = failure('SHUTTING_DOWN', 'nobody was free in time');
      this.pools.refuse(reason);
      this.composed.refuse(reason);
    };
    const timer = setTimeout(refuse, Math.max(0, deadlineMs - lastAnswersMs));
    if (deadlineMs === 0) refuse();
    this.upgrades.drain(deadlineMs);
    await this.listener.drain(deadlineMs);
    clearTimeout(timer);
    await stopped;
    this.composed.close();
    this.refusals.close();
    this.accessLog?.flush();
  }

  private compose(config: Config, errorPages: ErrorPages, cache: Cache | null): Composed {
    const { pools, log, compressing, acme, upgrades, health, httpsPort } = this;
    const own = { pools, log, compressing, acme, upgrades, health, httpsPort };
    return compose(config, { ...own, errorPages, cache });
  }

  private readonly httpsPort = (): number | null => [...this.httpsPorts.values()][0] ?? null;

  private readonly health = (): HealthFacts => {
    const { isStopping, pools } = this;
    return { isStopping, workersReady: pools.workersReady };
  };

  private onSettled(exchange: SettledExchange): void {
    this.served++;
    if (this.accessLog !== null) this.accessLog.write(exchange);
    if (exchange.record.failure !== null) logFailure(this.log, exchange, this.refusals);
  }
}

function handshakeOptions(config: Config): HandshakeOptions {
  return {
    timeoutMs: config.tlsHandshakeTimeoutMs,
    most: config.tlsHandshakesMax,
    http2: config.http2,
    asksForCertificate: config.certReqs !== 'none',
  };
}

function listenerOptions(config: Config, errorPages: ErrorPages): ListenerOptions {
  return {
    limits: {
      requestLineBytes: config.limitRequestLineBytes,
      fields: config.limitRequestFields,
      fieldSizeBytes: config.limitRequestFieldSizeBytes,
      bodyBytes: config.limitRequestBodyBytes,
      permitBareLf: config.permitBareLf,
    },
    keepAliveMs: config.keepAliveMs,
    headerTimeoutMs: config.headerTimeoutMs,
    bodyTimeoutMs: config.bodyTimeoutMs,
    sendTimeoutMs: config.sendTimeoutMs,
    errorPages,
    hsts: config.hsts,
    h2c: config.h2c,
    preamble: config.proxyProtocol
      ? { from: createTrust(config.proxyAllowFrom), timeoutMs: config.headerTimeoutMs }
      : null,
    http2MaxConcurrentStreams: config.http2MaxConcurrentStreams,
  };
}
