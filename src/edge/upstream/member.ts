// One address of an upstream: whether it is well, by its health check and by what requests meet, and what share of
// the requests it gets.
//
//   health check:  unknown → well ⟲ unwell
//   requests:      closed ──maxFailures──▶ open ──failTimeout──▶ trial ──a request went well──▶ closed
//                                           ▲────────────────────┘ it failed

import type { UpstreamConfig } from '../../config/upstream-config.ts';
import type { Failure } from '../../errors/failure.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Backend } from '../balancer/backend.ts';
import { askHealth, type HealthQuestion } from './health-check.ts';

export interface MemberOptions {
  readonly settings: UpstreamConfig;
  readonly question: Omit<HealthQuestion, 'path' | 'timeoutMs'>;
  /** "10.0.0.5:8000". */
  readonly name: string;
  readonly weight: number;
  readonly log: Log;
  /** Of the upstream, for the log. */
  readonly upstream: string;
  /** Whether another member takes requests: the last one is never left for its failures. */
  readonly hasOthers: (member: Member) => boolean;
}

export type MemberState = 'up' | 'down' | 'unwell' | 'left' | 'trial';

/** Of its weight, when it begins: a member that gets nothing never warms up. */
const SHARE_MIN = 0.02;

export class Member {
  readonly name: string;
  readonly weight: number;
  /** Requests that failed on it, all in all. */
  failures = 0;
  lastFailure: string | null = null;

  private readonly options: MemberOptions;
  private backend: Backend | null = null;
  private health: 'unknown' | 'well' | 'unwell';
  /** Answers of one kind in a row. */
  private streak = 0;
  private circuit: 'closed' | 'open' | 'trial' = 'closed';
  private openUntilMs = 0;
  /** Of the last failures, the oldest first. */
  private failedMs: number[] = [];
  private servedBefore = 0;
  private readonly capacity: number;
  /** When it began to take requests; 0 = it does not. */
  private upSinceMs = 0;
  /** What the log was told last; null = nothing: that it comes up is what anybody expects. */
  private saidUp: boolean | null = null;
  private checkTimer: NodeJS.Timeout | null = null;
  private stopAsking: (() => void) | null = null;

  constructor(options: MemberOptions) {
    this.options = options;
    this.name = options.name;
    this.weight = options.weight;
    this.capacity = options.settings.maxConnections;
    this.health = options.settings.healthCheck === null ? 'well' : 'unknown';
  }

  /** It is in the pool: from now on it is looked after. */
  begin(backend: Backend): void {
    this.backend = backend;
    this.warm(backend, 0);
    if (this.health === 'unknown') {
      this.hold();
      this.check();
    }
  }

  /** It is in the pool no more. */
  stop(): void {
    if (this.checkTimer !== null) clearTimeout(this.checkTimer);
    this.stopAsking?.();
    this.checkTimer = null;
    this.stopAsking = null;
    this.backend = null;
  }

  get takesRequests(): boolean {
    return this.backend?.takesRequests === true;
  }

  get state(): MemberState {
    if (this.backend?.isUp !== true) return 'down';
    if (this.health !== 'well') return 'unwell';
    if (this.circuit === 'open') return 'left';
    return this.circuit === 'trial' ? 'trial' : 'up';
  }

  get inFlight(): number {
    return this.backend?.inFlight ?? 0;
  }

  get served(): number {
    return this.backend?.served ?? 0;
  }

  /** Connections to it can be made. */
  reached(): void {
    if (this.saidUp === false) this.say('info', 'an upstream can be reached again');
    this.saidUp = true;
  }

  /** A connection to it could not be made. */
  lost(detail: string): void {
    this.lastFailure = detail;
    if (this.circuit !== 'closed') this.close();
    if (this.saidUp !== false) this.say('warning', 'an upstream cannot be reached');
    this.saidUp = false;
  }

  /** A request on it failed. */
  failed(reason: Failure, nowMs: number): void {
    this.failures++;
    this.lastFailure = `${reason.code} ${reason.detail}`.trim();
    const { maxFailures, failTimeoutMs } = this.options.settings;
    // A link that is down is tried again soon, and what it leads to then may be a new process.
    if (this.backend?.link.isUp !== true || maxFailures === 0 || this.circuit === 'open') return;
    this.failedMs.push(nowMs);
    if (this.failedMs.length > maxFailures) this.failedMs.shift();
    const oldestMs = this.failedMs[0]!;
    const isFull = this.failedMs.length === maxFailures && nowMs - oldestMs <= failTimeoutMs;
    if (!isFull && this.circuit === 'closed') return;
    if (!this.options.hasOthers(this)) return;
    this.circuit = 'open';
    this.openUntilMs = nowMs + failTimeoutMs;
    this.failedMs = [];
    this.hold();
    this.say('warning', 'an upstream fails requests; it gets none for a while');
  }

  /** To be called some times a second. */
  tick(nowMs: number): void {
    const { backend } = this;
    if (backend === null) return;
    if (this.circuit === 'open' && nowMs >= this.openUntilMs) {
      // One request at a time, until one has gone well.
      this.circuit = 'trial';
      this.servedBefore = backend.served;
      backend.capacity = 1;
      this.hold();
    } else if (this.circuit === 'trial' && backend.served > this.servedBefore) {
      this.close();
      this.say('info', 'an upstream serves requests again');
    }
    this.warm(backend, nowMs);
  }

  /** The circuit is closed: requests flow. */
  private close(): void {
    this.circuit = 'closed';
    this.failedMs = [];
    this.upSinceMs = 0;
    if (this.backend !== null) this.backend.capacity = this.capacity;
    this.hold();
  }

  /** Its share grows from when it began. */
  private warm(backend: Backend, nowMs: number): void {
    const { slowStartMs } = this.options.settings;
    if (slowStartMs === 0) return;
    if (!backend.takesRequests) this.upSinceMs = 0;
    else if (this.upSinceMs === 0) this.upSinceMs = nowMs;
    const age = this.upSinceMs === 0 ? 0 : nowMs - this.upSinceMs;
    backend.weight = this.weight * Math.min(1, Math.max(SHARE_MIN, age / slowStartMs));
  }

  private hold(): void {
    this.backend?.hold(this.health !== 'well' || this.circuit === 'open');
  }

  private check(): void {
    const { settings, question } = this.options;
    const { path, timeoutMs, intervalMs } = settings.healthCheck!;
    this.stopAsking = askHealth({ ...question, path, timeoutMs }, (wrong) => {
      this.stopAsking = null;
      if (this.backend === null) return;
      this.checked(wrong);
      // A little apart, so that not all are asked at once.
      const waitMs = intervalMs * (0.9 + 0.2 * Math.random());
      this.checkTimer = setTimeout(() => this.check(), waitMs).unref();
    });
  }

  private checked(wrong: string | null): void {
    const { failures, successes } = this.options.settings.healthCheck!;
    const isWell = wrong === null;
    if (isWell === (this.health === 'well')) {
      this.streak = 0;
      return;
    }
    this.streak++;
    // The first answer decides at once: until then nobody knew.
    const needed = this.health === 'unknown' ? 1 : isWell ? successes : failures;
    if (this.streak < needed) return;
    this.streak = 0;
    const wasUnknown = this.health === 'unknown';
    this.health = isWell ? 'well' : 'unwell';
    this.hold();
    if (!isWell) {
      this.lastFailure = wrong;
      this.say('warning', 'an upstream is not well; it gets no requests');
    } else if (!wasUnknown) this.say('info', 'an upstream is well again');
  }

  private say(level: 'info' | 'warning', message: string): void {
    const { log, upstream, name } = this.options;
    const detail =
      level === 'info' || this.lastFailure === null ? {} : { detail: this.lastFailure };
    log[level](message, { upstream, member: name, ...detail });
  }
}
