// Looks after one name: picks up its certificate from the directory, renews it in time, waits after a failure.
//
//   idle ──due──▶ waiting (another instance has the lock) ──▶ idle
//     └───due──▶ obtaining ──▶ idle, with a certificate or with a later try

import { createHash, X509Certificate } from 'node:crypto';
import { keyToPem, makeKeyPair } from '../../certificates/keys.ts';
import { makeCsr } from '../../certificates/make.ts';
import type { AcmeNameStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import { asAcmeError, type Ca } from './ca.ts';
import { type Lock, LockFile, type LockTimes } from './lock-file.ts';
import { type Answers, checkedChain, orderCertificate, type Signed } from './order.ts';
import type { ChallengeType } from './problem.ts';
import { askRenewal, certificateId } from './renewal-info.ts';
import { backoffMs, inTurn, type Life, mayTry, renewAtMs } from './schedule.ts';
import type { KeptPair, NameState } from './storage.ts';

export interface KeeperOptions {
  readonly host: string;
  readonly ca: Ca;
  readonly answers: Answers;
  readonly challenges: () => readonly ChallengeType[];
  readonly profile: () => string | null;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly lockTimes: LockTimes;
  /** Null where enough certificates are being had; else to be called at the end. */
  readonly takeSlot: () => (() => void) | null;
  /** Another certificate than before is there. */
  readonly onPair: (pair: KeptPair) => void;
}

interface Held {
  readonly pair: KeptPair;
  readonly life: Life;
  readonly fraction: number;
}

/** A certificate, or to know when to renew. */
type Want = 'nothing' | 'look' | 'try';

type Phase = 'idle' | 'waiting' | 'obtaining';

export class NameKeeper {
  readonly host: string;
  private readonly options: KeeperOptions;
  private readonly lockFile: LockFile;
  private phase: Phase = 'idle';
  private held: Held | null = null;
  private state: NameState | null = null;
  /** As they were when they were last read. */
  private readState = '';
  private readMark = '';
  private isHurried = false;
  private wanted: Want = 'nothing';

  constructor(options: KeeperOptions) {
    const { host, ca, lockTimes } = options;
    this.host = host;
    this.options = options;
    this.lockFile = new LockFile(ca.storage.lockPath(host), lockTimes);
  }

  /** Picks up what is in the directory; true when there is a certificate. */
  async load(): Promise<boolean> {
    const { ca, now, log, onPair } = this.options;
    const pair = await ca.storage.certificate(this.host, this.readMark);
    if (pair !== null) {
      this.readMark = pair.mark;
      const held = readHeld(this.host, pair);
      if (held === null)
        log.warning(`the kept certificate for ${this.host} cannot be used: it is had anew`);
      else if (held.life.notAfterMs > now() || this.held === null) {
        if (this.held !== null && this.phase !== 'obtaining')
          log.info(`took up the certificate for ${this.host} that another instance has got`);
        this.held = held;
        onPair(pair);
      }
    }
    const kept = await ca.storage.state(this.host);
    // Where it could not be written, what is known here is newer than what still lies there.
    const text = JSON.stringify(kept);
    if (text !== this.readState) this.state = kept;
    this.readState = text;
    return this.held !== null;
  }

  /** Something has become due since the last visit. By the clock on the wall, which may jump. */
  get isAwake(): boolean {
    const wants = this.wants();
    return wants !== 'nothing' && wants !== this.wanted;
  }

  /** Does what is due. Returns after how long to come again. Throws only where the disk fails. */
  async visit(): Promise<number> {
    const againMs = await this.lookAfter().finally(() => {
      this.wanted = this.wants();
    });
    return this.wanted === 'nothing' ? againMs : Math.min(againMs, soonMs);
  }

  private async lookAfter(): Promise<number> {
    await this.load();
    if (!this.isDue()) {
      this.phase = 'idle';
      await this.askCa();
      return this.idleMs();
    }
    if (!this.mayTryNow()) {
      this.phase = 'idle';
      return putOffMs;
    }
    const leaveSlot = this.options.takeSlot();
    if (leaveSlot === null) return soonMs;
    try {
      await this.takeTurn();
    } finally {
      leaveSlot();
    }
    return soonMs;
  }

  private async takeTurn(): Promise<void> {
    const lock = await this.lockFile.tryTake();
    if (lock === null) {
      if (this.phase !== 'waiting')
        this.options.log.debug('another instance is getting a certificate', { host: this.host });
      this.phase = 'waiting';
      return;
    }
    try {
      // While this one looked and took the lock, another may have been through with it.
      await this.load();
      if (this.wants() === 'try') await this.obtain(lock);
    } finally {
      this.phase = 'idle';
      await lock.release();
    }
  }

  /** The operator has changed something: a try that was put off is made now, once, unless the CA
   *  itself asked for patience or the last one is only just over. */
  hurry(): void {
    this.isHurried = (this.state?.failures ?? 0) > 0;
  }

  status(): AcmeNameStatus {
    const { held, state, phase } = this;
    const isPutOff = state !== null && state.failures > 0;
    const dueMs = this.dueMs();
    return {
      host: this.host,
      phase,
      notAfterMs: held?.life.notAfterMs ?? null,
      nextTryMs: isPutOff ? Math.max(state.nextTryMs, dueMs) : dueMs,
      failures: state?.failures ?? 0,
      lastError: state?.lastError?.text ?? null,
    };
  }

  private dueMs(): number {
    if (this.held === null) return 0;
    const { life, fraction } = this.held;
    const { window = null, obtainedMs = 0 } = this.state ?? {};
    const nowMs = this.options.now();
    return Math.round(renewAtMs({ ...life, window, obtainedMs, nowMs, fraction }));
  }

  private isDue(): boolean {
    return this.options.now() >= this.dueMs();
  }

  private wants(): Want {
    if (this.isDue()) return this.mayTryNow() ? 'try' : 'nothing';
    return mayTry(this.state?.nextLookMs ?? 0, this.options.now()) ? 'look' : 'nothing';
  }

  private mayTryNow(): boolean {
    const { nextTryMs = 0, lastTryMs = 0, lastError = null } = this.state ?? {};
    const nowMs = this.options.now();
    if (mayTry(nextTryMs, nowMs)) return true;
    // All edges are hurried: the first one's try counts for the others.
    const isOver = Math.abs(nowMs - lastTryMs) > hurryLeastMs;
    return this.isHurried && isOver && lastError?.code !== 'ACME_RATE_LIMITED';
  }

  /** Another instance may have renewed it. */
  private idleMs(): number {
    const { life } = this.held!;
    return Math.max(soonMs, Math.min(idleMostMs, (life.notAfterMs - life.notBeforeMs) / 50));
  }

  private async obtain(lock: Lock): Promise<void> {
    const { ca, log, now } = this.options;
    this.phase = 'obtaining';
    this.isHurried = false;
    const lastTryMs = now();
    try {
      const signed = await this.order(lock);
      const done = { failures: 0, nextTryMs: 0, lastError: null, lastTryMs };
      // The former certificate's window first: if this process ends here, the new one must not seem due.
      await ca.storage.keepState(this.host, { ...done, window: null, nextLookMs: 0 });
      await ca.storage.keepCertificate(this.host, signed);
      this.state = await ca.storage.keepState(this.host, { obtainedMs: now() });
      await this.load();
      const until = new Date(this.held!.life.notAfterMs).toISOString();
      log.info(`got a certificate for ${this.host}, valid until ${until}`);
    } catch (error) {
      if (ca.signal.aborted) return;
      await this.fail(error, lastTryMs);
    }
  }

  private async order(lock: Lock): Promise<Signed> {
    const { ca, answers, now, challenges, profile } = this.options;
    const client = await ca.client();
    const replaced = this.held === null ? null : certificateId(this.held.pair.certPem);
    const { renewalInfo } = await client.directory();
    return ca.asAccount((account) =>
      orderCertificate({
        client,
        account,
        host: this.host,
        challenges: inTurn(challenges(), this.state?.failures ?? 0),
        profile: profile(),
        replaces: renewalInfo === null ? null : replaced,
        answers,
        makeRequest: () => makeRequest(this.host),
        stillOurs: () => lock.check(),
        now,
        signal: ca.signal,
      }),
    );
  }

  private async fail(thrown: unknown, lastTryMs: number): Promise<void> {
    const { ca, log, now, random } = this.options;
    const error = asAcmeError(thrown);
    const failures = (this.state?.failures ?? 0) + 1;
    const { retryAfterMs } = error;
    const waitMs = backoffMs({ failures, retryAfterMs, random: random() });
    const nextTryMs = Math.round(now() + waitMs);
    const text = `${error.message}. ${error.remedy}`;
    const state = { failures, nextTryMs, lastTryMs, lastError: { code: error.code, text } };
    const before = this.state ?? (await ca.storage.state(this.host));
    this.state = { ...before, ...state };
    const isServed = this.held !== null && this.held.life.notAfterMs > now();
    log[isServed ? 'warning' : 'error'](`no certificate for ${this.host}: ${text}`, {
      code: error.code,
      nextTry: new Date(nextTryMs).toISOString(),
      ...(isServed ? { servedUntil: new Date(this.held!.life.notAfterMs).toISOString() } : {}),
    });
    // A full disk must not hide what it is about.
    await ca.storage.keepState(this.host, state).catch(() => {});
  }

  /** When the CA would have it renewed, asked as often as it says; one instance asks for all. */
  private async askCa(): Promise<void> {
    const { ca, log, now } = this.options;
    const { held } = this;
    if (held === null || !mayTry(this.state?.nextLookMs ?? 0, now())) return;
    const lock = await this.lockFile.tryTake();
    if (lock === null) return;
    try {
      await this.load();
      if (!mayTry(this.state?.nextLookMs ?? 0, now())) return;
      const advice = await askRenewal(await ca.client(), held.pair.certPem);
      const againMs = advice?.againMs ?? noAdviceMs;
      const window = advice?.window ?? null;
      const before = this.dueMs();
      this.state = await ca.storage.keepState(this.host, { window, nextLookMs: now() + againMs });
      const after = this.dueMs();
      if (advice !== null && after < before)
        log.info(`the CA wants the certificate for ${this.host} renewed earlier`, {
          at: new Date(after).toISOString(),
          ...(advice.explanation === '' ? {} : { explanation: advice.explanation }),
        });
    } catch (error) {
      if (ca.signal.aborted) return;
      // Advice only: without it, a third of the life counts (RFC 9773 section 4.3.3).
      log.debug('the CA cannot be asked when to renew', { why: asAcmeError(error).message });
      this.state = await ca.storage.keepState(this.host, { nextLookMs: now() + askAgainMs });
    } finally {
      await lock.release();
    }
  }
}

/** While another instance is at it. */
const soonMs = 1_000;
/** Until the next try: another instance may have had more luck. */
const putOffMs = 5_000;
const idleMostMs = 30_000;
const hurryLeastMs = 60_000;
const noAdviceMs = 24 * 3_600_000;
const askAgainMs = 3_600_000;

async function makeRequest(host: string) {
  const key = await makeKeyPair();
  const { der } = await makeCsr({ key, hosts: [host] });
  return { keyPem: keyToPem(key.privateKey), csrDer: der };
}

function readHeld(host: string, pair: KeptPair): Held | null {
  try {
    // Whether it has expired is not asked here: it is better than a stand-in.
    checkedChain(pair.certPem, { host, keyPem: pair.keyPem, nowMs: 0 });
    const leaf = new X509Certificate(pair.certPem);
    const digest = createHash('sha256').update(leaf.raw).digest();
    return {
      pair,
      life: { notBeforeMs: Date.parse(leaf.validFrom), notAfterMs: Date.parse(leaf.validTo) },
      fraction: digest.readUInt32BE(0) / 2 ** 32,
    };
  } catch {
    return null;
  }
}
