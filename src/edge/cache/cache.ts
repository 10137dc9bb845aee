// The response cache, a step before the app (RFC 9111): answers from memory what is fresh, asks the
// app once for what is not, however many ask, and keeps what may be kept.

import { type Failure, failure } from '../../errors/failure.ts';
import type { Exchange, Fields, Handle, RequestHead } from '../../http/exchange.ts';
import { newRecord } from '../../http/exchange-record.ts';
import { fieldValue, withoutNamed } from '../../http/fields.ts';
import { sameName } from '../../http/tokens.ts';
import type { CacheStats, Purge } from '../../ipc/messages.ts';
import { deaf, deliver } from './deliver.ts';
import { type Entry, makeEntry, storedFields, updatedFields } from './entry.ts';
import { type Candidate, Fetch, type FetchOwner } from './fetch.ts';
import { Flights } from './flights.ts';
import { type KeyParts, keyOfUrl, originOf, urlKey, variantKey } from './key.ts';
import { Passing } from './passing.ts';
import { decide, type Judgement, judge, remainingMs, standsIn } from './policy.ts';
import { type Forwarded, forwardedStatus, hitStatus } from './status-field.ts';
import { Store } from './store.ts';
import { Visit } from './visit.ts';
import { isDisguised, readWants, type Wants } from './wants.ts';

export interface CacheSettings {
  readonly cacheBytes: number;
  readonly cacheEntryBytes: number;
  readonly cacheDefaultTtlMs: number;
  readonly cacheSetCookie: boolean;
  readonly cacheWaitMs: number;
  /** Also the most requests that wait for another's answer. */
  readonly queueSize: number;
}

/** A refresh behind the clients' backs that failed is not tried again at once. */
const refreshPauseMs = 1000;

export class Cache implements FetchOwner {
  settings: CacheSettings;
  private readonly store: Store;
  private readonly flights: Flights;
  private readonly now: () => number;
  private hits = 0;
  private misses = 0;

  /** `now`: milliseconds that only go forward, on the scale of Date.now(). */
  constructor(settings: CacheSettings, now: () => number = wallMs) {
    this.settings = settings;
    this.now = now;
    this.store = new Store(settings.cacheBytes);
    this.flights = new Flights(
      () => ({ followersMax: this.settings.queueSize, waitMs: this.settings.cacheWaitMs }),
      (visit) => this.lead(visit, 'uri-miss', null, ''),
    );
  }

  get bytesMax(): number {
    return this.store.bytesMax;
  }

  /** Answers the exchange, or has the app do it through `next`. `trusted`: the peer is a proxy
   *  whose X-Forwarded-* reach the app. */
  handle(exchange: Exchange, trusted: boolean, next: Handle): void {
    const { request, client } = exchange;
    const { method, target, fields } = request;
    const wants = readWants(fields, client);
    const parts: KeyParts = { target, fields, host: wants.host, client, trusted };
    const key = urlKey(parts);
    if (method !== 'GET' && method !== 'HEAD') {
      this.passMethod(exchange, key, next);
      return;
    }
    const passesBy = key === null || wants.passesBy || exchange.bodyLength !== 0;
    const resource = key === null ? undefined : this.store.get(key);
    const variant = variantKey(resource?.vary ?? [], parts);
    if (passesBy || variant === null) {
      pass(exchange, 'bypass', next);
      return;
    }
    let entry = resource?.variants.get(variant) ?? null;
    if (entry?.freshness.anonymousOnly === true && wants.isPersonal) entry = null;
    const nowMs = this.now();
    let fwd: Forwarded = resource === undefined ? 'uri-miss' : 'vary-miss';
    if (entry !== null) {
      const verdict = decide(entry.freshness, wants, nowMs);
      if (verdict === 'fresh' || verdict === 'behind') {
        this.hits++;
        exchange.attach(deaf);
        const status =
          verdict === 'fresh'
            ? null
            : hitStatus(remainingMs(entry.freshness, nowMs), 'revalidating');
        deliver(exchange, { entry, wants, nowMs, status });
        if (verdict === 'behind' && !wants.noStore)
          this.refresh(new Visit({ exchange, wants, parts, key, next }), entry, variant);
        return;
      }
      fwd = verdict === 'ask-stale' ? 'stale' : 'request';
    }
    this.misses++;
    if (wants.onlyIfCached) {
      exchange.fail(failure('NOT_CACHED'));
    } else if (method === 'HEAD' || wants.noStore) {
      pass(exchange, wants.noStore && entry === null ? 'request' : fwd, next);
    } else {
      const visit = new Visit({ exchange, wants, parts, key, next });
      exchange.attach(visit);
      if (!visit.isOver) this.join(visit, fwd, entry, flightKeyOf(key, variant, wants));
    }
  }

  /** Forgets responses; returns how many. What is being fetched now is not stored. */
  purge(what: Purge): number {
    if (what.kind === 'tag' || what.kind === 'all') {
      this.bar(() => true);
      return what.kind === 'all' ? this.store.clear() : this.store.deleteTag(what.tag);
    }
    const { url } = what;
    if (url.startsWith('/')) {
      this.bar(({ plan }) => plan.request.target === url);
      return this.store.deletePath(url);
    }
    const key = keyOfUrl(url);
    return key === null ? 0 : this.invalidate(key);
  }

  stats(): CacheStats {
    const { hits, misses } = this;
    const { entries, bytes } = this.store;
    return { hits, misses, entries, bytes };
  }

  // ── asking the app

  /** Waits for a fetch of the same, else leads one. */
  private join(visit: Visit, fwd: Forwarded, stale: Entry | null, flightKey: string): void {
    if (this.flights.isPassed(flightKey)) {
      this.lead(visit, fwd, stale, '');
      return;
    }
    const fetch = this.flights.find(flightKey);
    if (fetch === null) this.lead(visit, fwd, stale, flightKey);
    else this.flights.follow(fetch, visit, performance.now());
  }

  private lead(visit: Visit, fwd: Forwarded, stale: Entry | null, flightKey: string): void {
    // Where it is known that nobody else can use the answer the client's conditions reach the app,
    // which may spare itself the work.
    const answersConditions = flightKey !== '' || stale !== null;
    const { exchange, key } = visit;
    const { request, client, requestId, record } = exchange;
    const fetch = new Fetch(this, {
      ...{ key, flightKey, client, requestId, record, origin: visit, leader: visit },
      request: answersConditions ? ownConditions(request, stale) : request,
      ...{ stale, fwd, answersConditions },
    });
    visit.fetch = fetch;
    this.flights.add(fetch);
    visit.next(fetch);
  }

  private refresh(visit: Visit, stale: Entry, variant: string): void {
    const flightKey = flightKeyOf(visit.key, variant, visit.wants);
    if (this.flights.isUnderWay(flightKey) || this.now() < stale.refreshAfterMs) return;
    stale.refreshAfterMs = this.now() + refreshPauseMs;
    const { request, client, requestId } = visit.exchange;
    const fetch = new Fetch(this, {
      ...{ key: visit.key, flightKey, client, requestId, origin: visit, leader: null, stale },
      request: { ...ownConditions(request, stale), method: 'GET' },
      ...{ record: newRecord(performance.now()), fwd: 'stale', answersConditions: true },
    });
    fetch.leaderlessSinceMs = performance.now();
    this.flights.add(fetch);
    visit.next(fetch);
  }

  // ── what a fetch asks for

  roomFor(bytes: number): boolean {
    let filling = bytes;
    for (const fetch of this.flights.all) filling += fetch.fillingBytes;
    return filling <= this.settings.cacheBytes;
  }

  entryBytesMax(): number {
    // Two of them fit at least.
    return Math.min(this.settings.cacheEntryBytes, Math.floor(this.settings.cacheBytes / 2));
  }

  judge(fetch: Fetch, status: number, fields: Fields): Judgement {
    const { origin } = fetch.plan;
    if (fetch.isBarred) return { store: false, why: 'purged' };
    if (fetch.isHandedOver) return { store: false, why: 'handed over' };
    if (isDisguised(origin.exchange.request, origin.parts.trusted))
      return { store: false, why: 'disguised' };
    const judgement = judge({
      ...{ wants: origin.wants, status, fields, nowMs: this.now() },
      defaultTtlMs: this.settings.cacheDefaultTtlMs,
      dropSetCookie: this.settings.cacheSetCookie,
    });
    if (!judgement.store) return judgement;
    const isKeyed = variantKey(judgement.vary, origin.parts) !== null;
    return isKeyed ? judgement : { store: false, why: 'vary' };
  }

  stored(fetch: Fetch, candidate: Candidate, body: Buffer): void {
    const { status, reason, tags, judgement } = candidate;
    const length = status === 204 ? null : body.length;
    const fields = storedFields(candidate.fields, { length, date: new Date().toUTCString() });
    const entry = makeEntry({
      ...{ status, reason, fields, body, tags },
      freshness: judgement.freshness,
    });
    this.keep(fetch, judgement.vary, entry);
  }

  validated(fetch: Fetch, stale: Entry, fresh: Fields): void {
    const fields = updatedFields(stale.fields, fresh, new Date().toUTCString());
    const judgement = this.judge(fetch, stale.status, fields);
    const { leader } = fetch;
    const { status, reason, body, tags } = stale;
    const { freshness } = judgement.store ? judgement : stale;
    const entry = makeEntry({ status, reason, fields, body, tags, freshness });
    if (judgement.store) this.keep(fetch, judgement.vary, entry);
    else {
      this.invalidate(fetch.plan.key);
      this.release(fetch, 'unstorable', null);
    }
    fetch.leader = null;
    if (leader === null) return;
    const text = forwardedStatus({
      ...{ fwd: fetch.plan.fwd, fwdStatus: 304, stored: judgement.store },
      ttlMs: remainingMs(freshness, this.now()),
    });
    this.give(leader, entry, text, cookiesOf(fresh));
  }

  standIn(fetch: Fetch, status: number): boolean {
    const { stale, fwd } = fetch.plan;
    const nowMs = this.now();
    if (stale === null || fetch.isBarred || !standsIn(stale.freshness, nowMs)) return false;
    const text = forwardedStatus({
      fwd,
      ...(status === 0 ? {} : { fwdStatus: status }),
      ttlMs: remainingMs(stale.freshness, nowMs),
      detail: 'stale-if-error',
    });
    const visits = this.flights.takeFollowers(fetch);
    if (fetch.leader !== null) visits.unshift(fetch.leader);
    fetch.leader = null;
    this.flights.detach(fetch, false);
    for (const visit of visits) this.give(visit, stale, text);
    return true;
  }

  release(fetch: Fetch, why: 'unstorable' | 'broken', reason: Failure | null): void {
    this.flights.detach(fetch, why === 'unstorable' && !fetch.isBarred);
    // What is stored is no longer what the app says.
    if (why === 'unstorable' && fetch.plan.stale !== null) this.store.delete(fetch.plan.key);
    for (const visit of this.flights.takeFollowers(fetch)) {
      // What ended one worker is not tried on the next by each who waited.
      if (reason !== null) visit.exchange.fail(reason);
      else this.lead(visit, 'uri-miss', null, '');
    }
  }

  unfollowed(): void {
    this.flights.unfollowed();
  }

  leaderless(): void {
    this.flights.watch();
  }

  forget(fetch: Fetch): void {
    this.flights.remove(fetch);
    // Nobody is left but after a cancel.
    for (const visit of this.flights.takeFollowers(fetch)) this.lead(visit, 'uri-miss', null, '');
  }

  // ── within

  /** Puts the response into the store and gives it to those who waited, as far as it fits them. */
  private keep(fetch: Fetch, vary: readonly string[], entry: Entry): void {
    const { origin, key, flightKey, fwd } = fetch.plan;
    const variant = variantKey(vary, origin.parts);
    if (!fetch.isBarred && variant !== null) this.store.put(key, vary, variant, entry);
    const leftMs = remainingMs(entry.freshness, this.now());
    const isShared = leftMs + entry.freshness.whileRevalidateMs > 0 && !fetch.isBarred;
    this.flights.detach(fetch, !isShared && !fetch.isBarred);
    if (isShared) this.flights.trust(flightKey);
    const status = forwardedStatus({ fwd, collapsed: true, ttlMs: leftMs });
    for (const visit of this.flights.takeFollowers(fetch)) {
      const isFor =
        isShared &&
        variantKey(vary, visit.parts) === variant &&
        !(entry.freshness.anonymousOnly && visit.wants.isPersonal);
      if (isFor) this.give(visit, entry, status);
      else if (isShared && visit.waits === 1) this.joinVariant(visit, vary);
      else this.lead(visit, vary.length > 0 ? 'vary-miss' : 'uri-miss', null, '');
    }
  }

  /** What the response varies by was not known before: those who want the same variant wait again,
   *  for one of them. */
  private joinVariant(visit: Visit, vary: readonly string[]): void {
    const { key, parts, wants } = visit;
    const variant = variantKey(vary, parts);
    const flightKey = variant === null ? '' : flightKeyOf(key, variant, wants);
    this.join(visit, vary.length > 0 ? 'vary-miss' : 'uri-miss', null, flightKey);
  }

  private give(visit: Visit, entry: Entry, status: string, extra: Fields = []): void {
    visit.fetch = null;
    deliver(visit.exchange, { entry, wants: visit.wants, nowMs: this.now(), status, extra });
  }

  private passMethod(exchange: Exchange, key: string | null, next: Handle): void {
    const { method } = exchange.request;
    const isSafe = method === 'OPTIONS' || method === 'TRACE' || method === 'CONNECT';
    const status = forwardedStatus({ fwd: 'method' });
    if (isSafe || key === null) next(new Passing(exchange, status));
    else next(new Passing(exchange, status, (code, fields) => this.changed(key, code, fields)));
  }

  /** An unsafe method succeeded (RFC 9111 section 4.4). Other URLs it names only of its own origin. */
  private changed(key: string, status: number, fields: Fields): void {
    if (status >= 400) return;
    this.invalidate(key);
    for (const name of ['location', 'content-location']) {
      const value = fieldValue(fields, name);
      if (value === undefined || value.length > key.length + 4096 || !URL.canParse(value, key))
        continue;
      const other = keyOfUrl(new URL(value, key).href);
      if (other !== null && originOf(other) === originOf(key)) this.invalidate(other);
    }
  }

  private invalidate(key: string): number {
    this.bar(({ plan }) => plan.key === key);
    return this.store.delete(key);
  }

  private bar(isMeant: (fetch: Fetch) => boolean): void {
    for (const fetch of this.flights.all) {
      if (!isMeant(fetch)) continue;
      fetch.isBarred = true;
      this.flights.detach(fetch, false);
    }
  }
}

const { timeOrigin } = performance;

function wallMs(): number {
  // Date.now() may be set back, and then what is stale would be fresh again.
  return timeOrigin + performance.now();
}

function pass(exchange: Exchange, fwd: Forwarded, next: Handle): void {
  next(new Passing(exchange, forwardedStatus({ fwd })));
}

/** Requests with credentials don't wait for the answer to one without, nor the other way round. */
function flightKeyOf(key: string, variant: string, wants: Wants): string {
  return `${key}\n${variant}${wants.isPersonal ? '\np' : ''}`;
}

/** The request with the conditions of what is stored in place of the client's. */
function ownConditions(request: RequestHead, stale: Entry | null): RequestHead {
  const fields = withoutNamed(request.fields, ['if-none-match', 'if-modified-since']);
  if (stale?.etag) fields.push('If-None-Match', stale.etag);
  else if (stale?.lastModified) fields.push('If-Modified-Since', stale.lastModified);
  return { ...request, fields };
}

function cookiesOf(fields: Fields): Fields {
  const cookies: Fields = [];
  for (let at = 0; at < fields.length; at += 2)
    if (sameName(fields[at]!, 'set-cookie')) cookies.push(fields[at]!, fields[at + 1]!);
  return cookies;
}
