// The upgrade lane: requests to switch protocols (WebSocket and others), and the connections they become.

import type { Config } from '../../config/config.ts';
import { failure } from '../../errors/failure.ts';
import type { Fields } from '../../http/exchange.ts';
import type { Pool } from '../balancer/pool.ts';
import { fewestUpgraded, type Stick } from '../balancer/sticky.ts';
import { loadEngine } from './engine.ts';
import type { Tunnel } from './tunnel.ts';
import type { UpgradableExchange } from './upgradable.ts';
import { type Destination, Visit, type VisitHost } from './visit.ts';

export type UpgradeSettings = Pick<
  Config,
  | 'sendTimeoutMs'
  | 'gracefulTimeoutMs'
  | 'upgradeConnections'
  | 'upgradeIdleTimeoutMs'
  | 'upgradeGraceMs'
>;

/** How exactly time-outs are kept: a look at 10,000 tunnels takes some milliseconds. */
const SWEEP_MS = 1_000;
/** What a Close and its answer take, before whoever drains cuts what is left. */
const LAST_WORDS_MS = 1_500;

export class Upgrades implements VisitHost {
  /** Of the composition in force; a reload puts others here. */
  settings: UpgradeSettings;
  readonly engine = loadEngine;
  private readonly tunnels = new Set<Tunnel>();
  /** Visits that are neither over nor a tunnel. */
  private asking = 0;
  private sweeper: NodeJS.Timeout | null = null;
  private isDraining = false;

  constructor(settings: UpgradeSettings) {
    this.settings = settings;
  }

  /** Takes the exchange on. `upstream` are the fields for whom it goes to, without hop-by-hop ones. */
  handle(
    exchange: UpgradableExchange,
    upstream: Fields,
    stick: Stick | null,
    to: Destination,
  ): void {
    const taken = this.tunnels.size + this.asking;
    if (taken >= this.settings.upgradeConnections) {
      exchange.fail(failure('UPGRADES_FULL', `${taken} are open, or about to be`));
      return;
    }
    this.asking++;
    const { upgrade, requestId } = exchange;
    const fields = [...upstream, 'X-Request-Id', requestId, 'Connection', 'Upgrade'];
    if (upgrade !== null) fields.push('Upgrade', upgrade);
    const visit = new Visit(exchange, fields, { host: this, to });
    visit.stick = stick ?? fewestUpgraded;
    visit.run();
  }

  onAsked(): void {
    this.asking--;
  }

  onTunnel(tunnel: Tunnel): void {
    this.tunnels.add(tunnel);
    tunnel.backend.upgraded++;
    this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
    if (this.isDraining) tunnel.closePolitely(null);
  }

  onOver(tunnel: Tunnel, pool: Pool): void {
    this.tunnels.delete(tunnel);
    tunnel.backend.upgraded--;
    pool.left(tunnel.backend);
    if (this.tunnels.size > 0 || this.sweeper === null) return;
    clearInterval(this.sweeper);
    this.sweeper = null;
  }

  /** The worker is about to leave: its connections have a while, and are then told to go. */
  withdraw(workerId: number): void {
    this.closeAfter(this.graceWithin(this.settings.gracefulTimeoutMs), workerId);
  }

  /** The worker's process has ended. */
  gone(workerId: number): void {
    for (const tunnel of this.tunnels)
      if (tunnel.backend.workerId === workerId) tunnel.workerGone();
  }

  /** Everything stops within that time. */
  drain(deadlineMs: number): void {
    this.closeAfter(this.graceWithin(deadlineMs), null);
  }

  private graceWithin(deadlineMs: number): number {
    return Math.max(0, Math.min(this.settings.upgradeGraceMs, deadlineMs - LAST_WORDS_MS));
  }

  /** Null: of all workers. */
  private closeAfter(graceMs: number, workerId: number | null): void {
    setTimeout(() => {
      if (workerId === null) this.isDraining = true;
      for (const tunnel of this.tunnels)
        if (workerId === null || tunnel.backend.workerId === workerId) tunnel.closePolitely(null);
    }, graceMs).unref();
  }

  private sweep(): void {
    const nowMs = performance.now();
    const { upgradeIdleTimeoutMs: idleMs, sendTimeoutMs: sendMs } = this.settings;
    for (const tunnel of this.tunnels) tunnel.sweep(nowMs, { idleMs, sendMs });
  }
}
