// Fetches under way: who waits for which, for how long, and which URLs nobody should wait for.

import { LRUCache } from 'lru-cache';
import type { Fetch } from './fetch.ts';
import type { Visit } from './visit.ts';

export interface FlightLimits {
  /** Requests that wait for another's answer. */
  readonly followersMax: number;
  readonly waitMs: number;
}

/** How exactly waits are kept: one timer for all, and only while there is something to look at. */
const sweepMs = 50;
/** A fetch that no client streams has so long: a refresh that hangs must not keep its URL stale. */
const leaderlessMs = 60_000;
/** For so long nobody waits at a URL whose last answer was not for others, or came too late. */
const passMs = 30_000;
/** Characters of the keys remembered so. */
const passCharsMax = 1024 * 1024;

export class Flights {
  readonly all = new Set<Fetch>();
  private readonly byKey = new Map<string, Fetch>();
  private readonly passes = new LRUCache<string, true>({
    maxSize: passCharsMax,
    sizeCalculation: (_value, key) => key.length + 100,
    ttl: passMs,
    ttlResolution: 1000,
  });
  private followers = 0;
  private sweeper: NodeJS.Timeout | null = null;
  private readonly limits: () => FlightLimits;
  private readonly onLate: (visit: Visit) => void;

  /** `onLate`: the visit has waited long enough. */
  constructor(limits: () => FlightLimits, onLate: (visit: Visit) => void) {
    this.limits = limits;
    this.onLate = onLate;
  }

  /** The fetch to wait for, if there is one and there is room to wait. */
  find(flightKey: string): Fetch | null {
    const fetch = this.byKey.get(flightKey) ?? null;
    return fetch !== null && this.followers < this.limits().followersMax ? fetch : null;
  }

  isUnderWay(flightKey: string): boolean {
    return this.byKey.has(flightKey);
  }

  /** Whether requests for this should not wait for one another. */
  isPassed(flightKey: string): boolean {
    return this.passes.has(flightKey);
  }

  add(fetch: Fetch): void {
    this.all.add(fetch);
    const { flightKey } = fetch.plan;
    if (flightKey !== '' && !this.byKey.has(flightKey)) this.byKey.set(flightKey, fetch);
    if (fetch.leader === null) this.watch();
  }

  /** Nobody new waits for it; `pass`: nor for the next ones of its kind. */
  detach(fetch: Fetch, pass: boolean): void {
    const { flightKey } = fetch.plan;
    if (this.byKey.get(flightKey) === fetch) this.byKey.delete(flightKey);
    if (pass && flightKey !== '') this.passes.set(flightKey, true);
  }

  remove(fetch: Fetch): void {
    this.detach(fetch, false);
    this.all.delete(fetch);
  }

  /** Its kind may be waited for again. */
  trust(flightKey: string): void {
    this.passes.delete(flightKey);
  }

  follow(fetch: Fetch, visit: Visit, nowMs: number): void {
    fetch.followers.add(visit);
    visit.fetch = fetch;
    if (visit.deadlineMs === 0) visit.deadlineMs = nowMs + this.limits().waitMs;
    this.followers++;
    this.watch();
  }

  unfollowed(): void {
    this.followers--;
  }

  /** Those who waited, who wait no more. */
  takeFollowers(fetch: Fetch): Visit[] {
    const visits = [...fetch.followers];
    fetch.followers.clear();
    this.followers -= visits.length;
    for (const visit of visits) {
      visit.fetch = null;
      visit.waits++;
    }
    return visits;
  }

  /** Something waits, or runs without a client. The timer ends with that, also where a reload has
   *  put another cache in place of this one: who waits here keeps a time limit. */
  watch(): void {
    if (this.sweeper !== null) return;
    this.sweeper = setTimeout(() => {
      this.sweeper = null;
      this.sweep(performance.now());
    }, sweepMs);
    this.sweeper.unref();
  }

  private sweep(nowMs: number): void {
    let again = false;
    for (const fetch of [...this.all]) {
      const late = [...fetch.followers].filter((visit) => visit.deadlineMs <= nowMs);
      // Those who come next must not wait as long for the same.
      if (late.length > 0) this.detach(fetch, true);
      for (const visit of late) {
        fetch.followers.delete(visit);
        this.followers--;
        visit.fetch = null;
        visit.waits++;
        this.onLate(visit);
      }
      if (fetch.leader === null && !fetch.isOver) {
        if (fetch.leaderlessSinceMs + leaderlessMs <= nowMs) fetch.cancel();
        else again = true;
      }
      if (fetch.followers.size > 0) again = true;
    }
    if (again) this.watch();
  }
}
