// Certificates that look after themselves: gets and renews one for each name, for all edges that share the directory.

import { keyToPem, makeKeyPair } from '../../certificates/keys.ts';
import { makeSelfSigned } from '../../certificates/make.ts';
import type { AcmeNameStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import { asAcmeError, Ca } from './ca.ts';
import { Challenges } from './challenges.ts';
import { type LockTimes, usualTimes } from './lock-file.ts';
import { NameKeeper } from './name-keeper.ts';
import { type AcmeSettings, isSameCa, possibleChallenges } from './settings.ts';

export interface Pair {
  readonly hosts: readonly string[];
  readonly certPem: string;
  readonly keyPem: string;
}

export interface AcmeOptions {
  readonly log: Log;
  readonly version: string;
  /** Called with all certificates whenever one changes. */
  readonly onPairs: (pairs: readonly Pair[]) => void;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly tickMs?: number;
  readonly lockTimes?: LockTimes;
  readonly timeoutMs?: number;
}

/** Certificates that are being had at a time: CAs limit what an account may have open. */
const obtainingMax = 4;
/** Names that are looked after at a time: libuv has four threads for all that read files. */
const visitsMax = 16;
/** A stand-in is for the minutes until the first certificate is there; or for as long as that fails. */
const standInMs = 365 * 86_400_000;
/** After the disk has failed. */
const faultMs = 10_000;
const closeMs = 2_000;

interface Kept {
  readonly keeper: NameKeeper;
  visit: Promise<void> | null;
  /** By performance.now(). */
  nextMs: number;
  fault: string;
}

export class Acme {
  readonly challenges: Challenges;
  private readonly options: AcmeOptions;
  private readonly now: () => number;
  private settings: AcmeSettings;
  private ca: Ca;
  private readonly names = new Map<string, Kept>();
  private readonly pairs = new Map<string, Pair>();
  private ticker: NodeJS.Timeout | null = null;
  private isClosed = false;
  private obtaining = 0;
  /** How often configure() was called: a visit that was under way then has seen what was before. */
  private configured = 0;

  constructor(settings: AcmeSettings, options: AcmeOptions) {
    this.options = options;
    this.settings = settings;
    this.now = options.now ?? Date.now;
    this.ca = this.openCa(settings);
    this.challenges = new Challenges({
      storage: () => this.ca.storage,
      serves: (host) => this.names.has(host),
      now: this.now,
    });
  }

  /** Resolves when there is a certificate to show for each name, be it a stand-in. Never throws. */
  async start(): Promise<void> {
    this.sayChallenges();
    await this.takeNames();
    if (this.isClosed) return;
    this.ticker = setInterval(() => this.tick(), this.options.tickMs ?? 1000);
    // What is open keeps the process alive, renewals to come do not.
    this.ticker.unref();
    this.tick();
  }

  /** Other settings, or the operator's word that something has changed. Never throws. */
  async configure(settings: AcmeSettings): Promise<void> {
    if (!isSameCa(settings, this.settings)) {
      const ca = this.openCa(settings);
      this.ca.close();
      this.names.clear();
      this.ca = ca;
    }
    const before = possibleChallenges(this.settings).join();
    this.settings = settings;
    if (possibleChallenges(settings).join() !== before) this.sayChallenges();
    this.configured++;
    for (const kept of this.names.values()) {
      kept.keeper.hurry();
      kept.nextMs = 0;
    }
    await this.takeNames();
    this.tick();
  }

  status(): AcmeNameStatus[] {
    return [...this.names.values()].map(({ keeper }) => keeper.status());
  }

  /** Breaks off what is under way, and lets others go on with it. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.ticker !== null) clearInterval(this.ticker);
    this.ca.close();
    const visits = [...this.names.values()].map(({ visit }) => visit);
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((done) => {
      timer = setTimeout(done, closeMs);
    });
    await Promise.race([Promise.all(visits), enough]);
    clearTimeout(timer);
  }

  private openCa(settings: AcmeSettings): Ca {
    const { log, version, timeoutMs } = this.options;
    return new Ca({
      settings,
      // RFC 8555 section 6.1: the client's name and version, and those of its library.
      userAgent: `portico/${version} node/${process.versions.node}`,
      now: this.now,
      onNotice: (text, facts) => log.info(text, facts),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** Takes on names that are new, and lets go of those that are no longer wanted. */
  private async takeNames(): Promise<void> {
    const { acme } = this.settings;
    const wanted = new Set(acme);
    for (const host of [...this.names.keys(), ...this.pairs.keys()])
      if (!wanted.has(host)) {
        this.names.delete(host);
        this.pairs.delete(host);
      }
    const fresh = acme.filter((host) => !this.names.has(host));
    for (const host of fresh)
      this.names.set(host, { keeper: this.keeper(host), visit: null, nextMs: 0, fault: '' });
    try {
      await this.ca.storage.prepare();
    } catch (error) {
      this.complain(asAcmeError(error, 'ACME_STORAGE').message);
    }
    for (const host of fresh) {
      // What can't be read is looked at again by the visits, and complained of there.
      const isThere = await this.names
        .get(host)
        ?.keeper.load()
        .catch(() => false);
      if (!isThere && !this.pairs.has(host)) await this.standIn(host);
    }
    this.publish();
  }

  private keeper(host: string): NameKeeper {
    const { log, random = Math.random, lockTimes = usualTimes } = this.options;
    const { ca } = this;
    return new NameKeeper({
      host,
      ca,
      answers: this.challenges,
      challenges: () => possibleChallenges(this.settings),
      profile: () => this.settings.acmeProfile,
      log,
      now: this.now,
      random,
      lockTimes,
      takeSlot: () => this.takeSlot(),
      onPair: ({ certPem, keyPem }) => {
        // What was under way when the settings changed.
        if (this.ca !== ca || !this.settings.acme.includes(host)) return;
        this.pairs.set(host, { hosts: [host], certPem, keyPem });
        if (this.ticker !== null) this.publish();
      },
    });
  }

  /** A handshake with a certificate that nobody trusts says more than none. */
  private async standIn(host: string): Promise<void> {
    const key = await makeKeyPair();
    const { pem } = await makeSelfSigned({
      key,
      hosts: [host],
      nowMs: this.now(),
      lifetimeMs: standInMs,
    });
    this.pairs.set(host, { hosts: [host], certPem: pem, keyPem: keyToPem(key.privateKey) });
  }

  private publish(): void {
    const { acme } = this.settings;
    try {
      this.options.onPairs(acme.flatMap((host) => this.pairs.get(host) ?? []));
    } catch (error) {
      // Those that are in use stay in use.
      this.options.log.error('ACME: the certificates cannot be put to use', { error });
    }
  }

  private tick(): void {
    if (this.isClosed) return;
    const now = performance.now();
    let busy = [...this.names.values()].filter(({ visit }) => visit !== null).length;
    for (const kept of this.names.values()) {
      if (busy >= visitsMax) return;
      if (kept.visit !== null || (now < kept.nextMs && !kept.keeper.isAwake)) continue;
      busy++;
      kept.visit = this.visit(kept).finally(() => {
        kept.visit = null;
      });
    }
  }

  private takeSlot(): (() => void) | null {
    if (this.obtaining >= obtainingMax) return null;
    this.obtaining++;
    return () => {
      this.obtaining--;
    };
  }

  private async visit(kept: Kept): Promise<void> {
    const { configured } = this;
    let againMs = faultMs;
    try {
      // It may have been mounted, or given to us, since.
      if (kept.fault !== '') await this.ca.storage.prepare();
      againMs = await kept.keeper.visit();
      kept.fault = '';
    } catch (error) {
      const { message, remedy } = asAcmeError(error, 'ACME_STORAGE');
      if (kept.fault !== message) this.complain(`${kept.keeper.host}: ${message}. ${remedy}`);
      kept.fault = message;
    }
    kept.nextMs = configured === this.configured ? performance.now() + againMs : 0;
  }

  private complain(text: string): void {
    this.options.log.error(`ACME: ${text}`, { code: 'ACME_STORAGE' });
  }

  private sayChallenges(): void {
    const possible = possibleChallenges(this.settings);
    const { log } = this.options;
    const [only] = possible;
    if (only === undefined)
      log.error('ACME: no bind allows any of acmeChallenges, so no certificate can be had', {
        code: 'ACME_REFUSED',
      });
    else if (possible.length === 1)
      log.info(
        only === 'http-01'
          ? 'ACME: only http-01 is possible, for which port 80 must lead here'
          : 'ACME: only tls-alpn-01 is possible, for which port 443 must lead here',
      );
  }
}
