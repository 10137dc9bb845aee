// What a request meets in the edge: the steps in order, made of one set of settings.

import { appsOf } from '../config/apps.ts';
import type { Config } from '../config/config.ts';
import { hasApp } from '../config/has-app.ts';
import { type Failure, failure } from '../errors/failure.ts';
import type { ClientFacts, Exchange, Fields, Handle } from '../http/exchange.ts';
import {
  createTrust,
  forwardedRequestId,
  maySayWho,
  resolveClient,
  upstreamFields,
} from '../http/forwarded.ts';
import { applyRules } from '../http/header-rules.ts';
import type { RouteStatus, UpstreamStatus } from '../ipc/messages.ts';
import { addPrefix } from '../routing/onward.ts';
import type { Log } from '../telemetry/log.ts';
import { createAccel } from './accel/accel.ts';
import type { AcmeLane } from './acme/lane.ts';
import { Forward } from './balancer/forward.ts';
import { createSticky } from './balancer/sticky.ts';
import type { Cache } from './cache/cache.ts';
import { lookForHandover } from './cache/fetch.ts';
import { createCompression } from './compression/compression.ts';
import type { Slots } from './compression/slots.ts';
import { respondWithError } from './error-pages/error-answer.ts';
import type { ErrorPages } from './error-pages/error-pages.ts';
import { createIntercept } from './error-pages/intercept.ts';
import { answerHealth, type HealthFacts } from './health.ts';
import { firstApp, type Pools } from './pools.ts';
import { createRedirectHttps } from './redirect-https.ts';
import type { ResponseStep } from './response-step.ts';
import { type Lane, Lanes } from './routes/lanes.ts';
import { Routes, type Way } from './routes/routes.ts';
import { StaticLane } from './static/static.ts';
import { createCertificateCheck } from './tls/client-certificate.ts';
import { wantsUpgrade } from './upgrade/upgradable.ts';
import type { Upgrades } from './upgrade/upgrades.ts';

/** What the steps use, longer than one composition lives. */
export interface Parts {
  readonly pools: Pools;
  readonly log: Log;
  readonly errorPages: ErrorPages;
  readonly compressing: Slots;
  readonly cache: Cache | null;
  readonly acme: AcmeLane;
  readonly upgrades: Upgrades;
  readonly health: () => HealthFacts;
  /** Of the first https:// bind. */
  readonly httpsPort: () => number | null;
}

/** What is made of one set of settings. */
export interface Composed {
  readonly handle: Handle;
  upstreams(): UpstreamStatus[];
  routes(): RouteStatus[];
  /** From now on no request waits for an upstream: who does, gives up. */
  refuse(reason: Failure): void;
  /** Lets go of what it holds; requests under way end as they would. */
  close(): void;
}

/** The steps. A step that is not wanted is not there. Throws where a setting can't be put to work. */
export function compose(config: Config, parts: Parts): Composed {
  const { pools, log, errorPages, cache, acme, upgrades } = parts;
  const trust = createTrust(config.forwardedAllowIps);
  const statics =
    config.static.length > 0
      ? new StaticLane(config.static, {
          cacheBytes: config.staticCacheBytes,
          store: config.staticStore,
          log,
          errorPages,
        })
      : null;
  const { forwarded } = config;
  const stickBy = (cookie: string) => createSticky(config.sticky, cookie);
  const clientCertificates = config.certReqs !== 'none';
  const refuse = createCertificateCheck(config.certReqs);
  const redirect = createRedirectHttps(config, parts.httpsPort);
  const steps = responseSteps(config, parts, statics);
  const apps = appsOf(config);
  const appLane = (name: string): Lane => {
    const { workerClass } = apps.find((app) => app.name === name) ?? config;
    const { responseTimeoutMs } = config;
    const pool = pools.of(name);
    return {
      pool,
      forwarding: {
        responseTimeoutMs,
        // A worker that does one thing at a time does nothing else while it waits for an upload.
        spool: workerClass === 'sync' || workerClass === 'wsgi',
        responseSteps: steps,
      },
      upgrades: { pool, responseTimeoutMs },
      stickTo: stickBy(name === firstApp(config) ? 'portico_worker' : `portico_worker_${name}`),
    };
  };
  /** Of requests that no route takes elsewhere. */
  const usual = appLane(firstApp(config));
  /** Of this composition alone: by it is known what the app was sent for the same fields before. */
  const unrouted: Way = { prefix: '', rules: null, lane: null };
  const lanes = new Lanes(config, { steps: upstreamSteps(config, parts), appLane, stickBy, log });
  const routes =
    config.routes.length > 0 ? new Routes(config, { unrouted, lanes, errorPages }) : null;
  const isAlone = routes !== null && !hasApp(config);

  function handle(exchange: Exchange): void {
    // 1. Who asks: from a trusted proxy, what it says.
    const peer = exchange.client;
    const { fields } = exchange.request;
    const trusted = trust.trusts(peer.peerAddress);
    if (trusted && maySayWho(exchange.request)) {
      exchange.client = resolveClient(peer, fields, trust);
      exchange.requestId = forwardedRequestId(fields) ?? exchange.requestId;
    }

    // 2. Who may ask: with the certificate that is asked for, and over TLS.
    if (refuse?.(exchange, peer)) return;
    if (redirect?.(exchange)) return;

    // 3. Its route, which may answer it.
    const way = routes === null ? unrouted : routes.take(exchange);
    if (way instanceof Promise) {
      way
        .then((found) => {
          if (found !== null) onward(exchange, peer, trusted, found);
        })
        .catch((error) => exchange.fail(failure('EDGE_FAULT', '', error)));
    } else if (way !== null) onward(exchange, peer, trusted, way);
  }

  function onward(exchange: Exchange, peer: ClientFacts, trusted: boolean, way: Way): void {
    // 4. Another protocol: on a connection of its own to whom the request is for.
    if (exchange.upgrade && (way.lane !== null || !isAlone) && wantsUpgrade(exchange)) {
      const { upgrades: to, stickTo } = way.lane ?? usual;
      const stick = stickTo?.(exchange) ?? null;
      upgrades.handle(exchange, fieldsFor(exchange, peer, trusted, way), stick, to);
      return;
    }

    // 5. What the route gives to an upstream, or to another app.
    if (way.lane !== null) {
      forward(exchange, peer, trusted, way);
      return;
    }

    // 6. Static files. What is found to be none only after a look at the disk goes on from there.
    if (statics?.serve(exchange, () => answer(exchange, peer, trusted, way))) return;

    answer(exchange, peer, trusted, way);
  }

  // 7. Stored responses. What is not there is asked for on an exchange of the cache's own.
  function answer(exchange: Exchange, peer: ClientFacts, trusted: boolean, way: Way): void {
    if (isAlone) nobody(exchange);
    // What a route tells the app beside the request, the cache knows nothing of.
    else if (cache === null || way !== unrouted) forward(exchange, peer, trusted, way);
    else cache.handle(exchange, trusted, (own) => forward(own, peer, trusted, way));
  }

  /** Without an app there is nothing beside routes and files. */
  function nobody(exchange: Exchange): void {
    const allowed = routes?.methodsFor(exchange.request) ?? [];
    if (allowed.length === 0) respondWithError(exchange, 'NOT_FOUND', errorPages);
    else
      respondWithError(exchange, 'METHOD_NOT_ALLOWED', errorPages, ['Allow', allowed.join(', ')]);
  }

  // 8. The app, or an upstream.
  function forward(exchange: Exchange, peer: ClientFacts, trusted: boolean, way: Way): void {
    const { request } = exchange;
    const { method, target, version, fields } = request;
    // Of a request that came before: the peer is its connection's, so all else is the same too.
    const repeats = request.repeats?.fields === fields ? request.repeats : null;
    let shared = repeats === null ? null : repeats.upstreamBy(way);
    let upstream: Fields;
    if (shared !== null) upstream = shared.fields;
    else {
      upstream = fieldsFor(exchange, peer, trusted, way);
      if (repeats !== null) shared = repeats.keepUpstream(upstream, way);
    }
    const head = { method, target, version, fields: upstream, repeats: null, shared };
    const { pool, forwarding, stickTo } = way.lane ?? usual;
    const one = new Forward(exchange, head, pool, forwarding);
    if (stickTo !== null) one.stick = stickTo(exchange);
    one.run();
  }

  /** What the app is told, and by whom it is asked. */
  function fieldsFor(exchange: Exchange, peer: ClientFacts, trusted: boolean, way: Way): Fields {
    const { client } = exchange;
    const { fields } = exchange.request;
    const who = { fields, peer, client, trusted, forwarded, clientCertificates };
    const upstream = upstreamFields(who);
    if (way.prefix !== '') addPrefix(upstream, way.prefix);
    return way.rules === null ? upstream : applyRules(way.rules, upstream);
  }

  // 0. Questions of a CA and of an orchestrator, before anything can lead them elsewhere.
  const { healthEndpoints, readyWorkers } = config;
  const afterHealth = healthEndpoints ? answerHealth(readyWorkers, parts.health, handle) : handle;
  return {
    handle: config.acme.length > 0 ? acme.before(afterHealth) : afterHealth,
    upstreams: () => lanes.status(),
    routes: () => routes?.status() ?? [],
    refuse: (reason) => lanes.refuse(reason),
    close() {
      statics?.close();
      lanes.close();
      routes?.close();
    },
  };
}

/** What a response of the app meets, in order. */
function responseSteps(
  config: Config,
  { errorPages, compressing }: Parts,
  statics: StaticLane | null,
): ResponseStep[] {
  const steps: ResponseStep[] = [];
  if (config.cacheBytes > 0) steps.push(lookForHandover);
  const accel = createAccel(config.static, {
    serve: (exchange, named) => statics?.serveNamed(exchange, named),
    missing: (exchange) => respondWithError(exchange, 'NOT_FOUND', errorPages),
  });
  if (accel !== null) steps.push(accel);
  return [...steps, ...upstreamSteps(config, { errorPages, compressing })];
}

/** What a response of an upstream meets: it may not name files of ours, and is not stored. */
function upstreamSteps(
  config: Config,
  { errorPages, compressing }: Pick<Parts, 'errorPages' | 'compressing'>,
): ResponseStep[] {
  const steps: ResponseStep[] = [];
  if (config.interceptErrors) steps.push(createIntercept(errorPages));
  if (config.compress) steps.push(createCompression(config, compressing));
  return steps;
}
