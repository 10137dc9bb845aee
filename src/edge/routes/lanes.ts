// Where routes lead: named apps, and HTTP upstreams, one of each kind, however many routes name it.

import type { Config } from '../../config/config.ts';
import type { RouteConfig } from '../../config/routes/route-config.ts';
import type { Failure } from '../../errors/failure.ts';
import type { UpstreamStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ForwardSettings } from '../balancer/forward.ts';
import type { Pool } from '../balancer/pool.ts';
import type { StickTo } from '../balancer/sticky.ts';
import type { ResponseStep } from '../response-step.ts';
import type { Destination } from '../upgrade/visit.ts';
import { createUpstream, type Upstream } from '../upstream/upstream.ts';

/** Where a request goes that is not the first app's. */
export interface Lane {
  readonly pool: Pool;
  readonly forwarding: ForwardSettings;
  /** Where requests to switch protocols go. */
  readonly upgrades: Destination;
  /** Null: to any member. */
  readonly stickTo: StickTo | null;
}

export interface LanesParts {
  /** What a response of an upstream meets. */
  readonly steps: readonly ResponseStep[];
  readonly appLane: (name: string) => Lane;
  /** By a cookie of that name, if by one. */
  readonly stickBy: (cookie: string) => StickTo | null;
  readonly log: Log;
}

export class Lanes {
  private readonly apps = new Map<string, Lane>();
  private readonly upstreams = new Map<string, { upstream: Upstream; lane: Lane }>();

  /** Throws where a setting can't be put to work. */
  constructor({ routes }: Pick<Config, 'routes'>, { steps, appLane, stickBy, log }: LanesParts) {
    try {
      for (const { to } of routes) {
        if (to.kind === 'named-app') this.apps.set(to.name, appLane(to.name));
        if (to.kind !== 'upstream') continue;
        const key = keyOf(to);
        if (this.upstreams.has(key)) continue;
        const upstream = createUpstream(to.upstream, log);
        const { pool } = upstream;
        const { firstByteTimeoutMs: responseTimeoutMs } = to.upstream;
        const forwarding = { responseTimeoutMs, spool: false, responseSteps: steps };
        const upgrades = { pool, responseTimeoutMs };
        const stickTo = stickBy(upstream.cookie);
        this.upstreams.set(key, { upstream, lane: { pool, forwarding, upgrades, stickTo } });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Null: the app. */
  laneOf({ to }: RouteConfig): Lane | null {
    if (to.kind === 'named-app') return this.apps.get(to.name)!;
    return to.kind === 'upstream' ? this.upstreams.get(keyOf(to))!.lane : null;
  }

  status(): UpstreamStatus[] {
    return [...this.upstreams.values()].map(({ upstream }) => upstream.status());
  }

  /** From now on no request waits for a member. */
  refuse(reason: Failure): void {
    for (const { upstream } of this.upstreams.values()) upstream.pool.refuse(reason);
  }

  close(): void {
    for (const { upstream } of this.upstreams.values()) upstream.close();
  }
}

function keyOf({ upstream }: Extract<RouteConfig['to'], { kind: 'upstream' }>): string {
  return JSON.stringify(upstream);
}
