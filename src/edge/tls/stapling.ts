// Keeps OCSP responses for the certificates that name a responder, fetched beside the serving: no handshake waits.
//
//   waiting until dueMs ──▶ asking ──good──▶ waiting for half of what is left of its life
//            ▲                └────failed──▶ waiting 1 min, 2 min, … 1 h; a former response serves while it is valid
//            └──────────────────────────────────┘

import { X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { shortName } from '../../certificates/facts.ts';
import { type OcspQuestion, readOcspAnswer, staplingOf } from '../../certificates/ocsp.ts';
import type { StapleStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import type { CertificateStore } from './certificate-store.ts';
import { fetchOcsp } from './ocsp-fetch.ts';
import { shownKeyType } from './shown-key-type.ts';

/** Looking up a name that nobody answers for holds one of Node's four threads, which files need too. */
const askedAtOnce = 2;
const againMinMs = 60_000;
const againMaxMs = 3_600_000;
/** Also so that a timer can hold it: 24 days are the most. */
const refreshMaxMs = 7 * 86_400_000;
/** Clients' clocks may be ahead of ours. */
const marginMaxMs = 300_000;

interface Certificate {
  /** For the log. */
  readonly name: string;
  /** Of its key; '' where it has none. */
  readonly curve: string;
  readonly mustStaple: boolean;
  readonly question: OcspQuestion | null;
  staple: { readonly der: Buffer; readonly untilMs: number } | null;
  state:
    | { readonly at: 'rest' }
    | { readonly at: 'waiting'; readonly dueMs: number }
    | { readonly at: 'asking'; readonly abort: AbortController };
  failures: number;
  problem: string | null;
}

interface Shown {
  readonly byKeyType: ReadonlyMap<string, Certificate>;
  /** Of its ECDSA certificate. */
  readonly curve: string;
}

interface Settings {
  readonly ocspStapling: boolean;
  readonly ciphers: string | null;
}

export interface StaplingOptions {
  /** What is random is 0 … 1. */
  readonly random?: () => number;
  readonly againMinMs?: number;
  readonly timeoutMs?: number;
}

export class Stapling {
  private readonly log: Log;
  private readonly store: CertificateStore;
  private readonly options: StaplingOptions;
  private settings: Settings = { ocspStapling: false, ciphers: null };
  /** By chain. Those that want no staple are here too, so that each is looked at once. */
  private certificates = new Map<string, Certificate>();
  /** Only contexts that may have a staple. */
  private shown = new Map<SecureContext, Shown>();
  private timer: NodeJS.Timeout | null = null;

  constructor(log: Log, store: CertificateStore, options: StaplingOptions = {}) {
    this.log = log;
    this.store = store;
    this.options = options;
    store.onChange(() => this.look());
  }

  configure({ ocspStapling, ciphers }: Settings): void {
    this.settings = { ocspStapling, ciphers };
    this.look();
  }

  close(): void {
    this.configure({ ocspStapling: false, ciphers: null });
  }

  /** For a client that asks; null where there is none, or none that surely fits what the client will see. */
  stapleFor(context: SecureContext, hello: Uint8Array): Buffer | null {
    const shown = this.shown.get(context);
    if (shown === undefined) return null;
    const { byKeyType, curve } = shown;
    let certificate: Certificate | undefined;
    if (byKeyType.size === 1) [certificate] = byKeyType.values();
    else if (byKeyType.size === 2 && byKeyType.has('ec') && byKeyType.has('rsa')) {
      const type = shownKeyType(hello, curve, this.settings.ciphers === null);
      if (type !== null) certificate = byKeyType.get(type);
    }
    const staple = certificate?.staple ?? null;
    return staple !== null && Date.now() < staple.untilMs ? staple.der : null;
  }

  status(certPem: string): StapleStatus | null {
    const certificate = this.certificates.get(certPem);
    if (certificate === undefined) return null;
    const { question, staple, problem } = certificate;
    if (question === null && problem === null) return null;
    const isServed = staple !== null && Date.now() < staple.untilMs;
    return { untilMs: isServed ? staple.untilMs : null, problem };
  }

  /** The certificates or the settings have changed. */
  private look(): void {
    const former = this.certificates;
    this.certificates = new Map();
    this.shown = new Map();
    for (const { context, pairs } of this.settings.ocspStapling ? this.store.served() : []) {
      const byKeyType = new Map<string, Certificate>();
      let curve = '';
      for (const { certPem, keyType } of pairs) {
        const certificate =
          this.certificates.get(certPem) ?? former.get(certPem) ?? this.added(certPem);
        this.certificates.set(certPem, certificate);
        byKeyType.set(keyType, certificate);
        if (keyType === 'ec') ({ curve } = certificate);
      }
      if ([...byKeyType.values()].some(({ question }) => question !== null))
        this.shown.set(context, { byKeyType, curve });
    }
    for (const [certPem, certificate] of former)
      if (!this.certificates.has(certPem)) rest(certificate);
    this.pump();
  }

  private added(certPem: string): Certificate {
    const { mustStaple, question, problem } = lookedAt(certPem);
    const { subject, publicKey } = new X509Certificate(certPem);
    const certificate: Certificate = {
      name: shortName(subject),
      curve: publicKey.asymmetricKeyDetails?.namedCurve ?? '',
      ...{ mustStaple, question, problem },
      state: question === null ? { at: 'rest' } : { at: 'waiting', dueMs: 0 },
      staple: null,
      failures: 0,
    };
    if (question !== null) return certificate;
    if (mustStaple) this.tell(certificate, problem ?? 'it names no OCSP responder');
    else if (problem !== null)
      this.log.info(`No OCSP response is fetched for ${certificate.name}: ${problem}`);
    return certificate;
  }

  /** Asks for what is due, and sets the timer for what is next. */
  private pump(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const nowMs = Date.now();
    const all = [...this.certificates.values()];
    let asking = all.filter(({ state }) => state.at === 'asking').length;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const certificate of all) {
      if (asking >= askedAtOnce) return;
      const { state, question } = certificate;
      if (state.at !== 'waiting' || question === null) continue;
      if (state.dueMs > nowMs) nextMs = Math.min(nextMs, state.dueMs);
      else {
        asking++;
        void this.ask(certificate, question);
      }
    }
    if (nextMs === Number.POSITIVE_INFINITY) return;
    // A clock that was set back must not stop it for longer than it would have waited.
    this.timer = setTimeout(() => this.pump(), Math.min(nextMs - nowMs, refreshMaxMs));
    this.timer.unref();
  }

  private async ask(certificate: Certificate, question: OcspQuestion): Promise<void> {
    const abort = new AbortController();
    certificate.state = { at: 'asking', abort };
    const { timeoutMs } = this.options;
    const got = await fetchOcsp({
      ...{ url: question.url, body: question.request, signal: abort.signal },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    }).catch((error: Error) => `cannot be asked (${error.message})`);
    // Nobody serves it any more.
    if (abort.signal.aborted) return;
    const nowMs = Date.now();
    if (typeof got === 'string') this.failed(certificate, `${new URL(question.url).host} ${got}`);
    else {
      const answer = readOcspAnswer(got, question, nowMs);
      if (answer.kind === 'good') this.succeeded(certificate, got, answer);
      else {
        // A client that asks by itself would hear the same.
        if (answer.kind === 'revoked') certificate.staple = null;
        this.failed(certificate, answer.reason);
      }
    }
    this.pump();
  }

  private succeeded(
    certificate: Certificate,
    der: Buffer,
    { thisUpdateMs, nextUpdateMs }: { thisUpdateMs: number; nextUpdateMs: number },
  ): void {
    const nowMs = Date.now();
    const marginMs = Math.min(marginMaxMs, (nextUpdateMs - thisUpdateMs) / 10);
    certificate.staple = { der, untilMs: nextUpdateMs - marginMs };
    const halfMs = (nextUpdateMs - nowMs) / 2;
    // Edges that were started together need not ask together.
    const waitMs = Math.max(this.againMinMs, Math.min(refreshMaxMs, halfMs)) * this.jitter();
    certificate.state = { at: 'waiting', dueMs: nowMs + waitMs };
    certificate.failures = 0;
    if (certificate.problem !== null)
      this.log.info(`There is an OCSP response for ${certificate.name} again`);
    certificate.problem = null;
  }

  private failed(certificate: Certificate, problem: string): void {
    const waitMs = Math.min(againMaxMs, this.againMinMs * 2 ** certificate.failures);
    certificate.failures = Math.min(certificate.failures + 1, 20);
    certificate.state = { at: 'waiting', dueMs: Date.now() + waitMs * this.jitter() };
    if (certificate.problem !== problem) this.tell(certificate, problem);
  }

  private tell(certificate: Certificate, problem: string): void {
    const { name, mustStaple, staple } = certificate;
    certificate.problem = problem;
    const former =
      staple !== null
        ? `; the former one serves until ${new Date(staple.untilMs).toISOString()}`
        : '';
    const insists = mustStaple ? '; the certificate insists on one (must-staple)' : '';
    this.log.warning(`No OCSP response for ${name}: ${problem}${former}${insists}`);
  }

  private get againMinMs(): number {
    return this.options.againMinMs ?? againMinMs;
  }

  /** 0.8 … 1: never later than what was reckoned. */
  private jitter(): number {
    return 0.8 + 0.2 * (this.options.random ?? Math.random)();
  }
}

function rest(certificate: Certificate): void {
  if (certificate.state.at === 'asking') certificate.state.abort.abort();
  certificate.state = { at: 'rest' };
}

/** OpenSSL serves some that can't be taken apart here. */
function lookedAt(certPem: string): ReturnType<typeof staplingOf> {
  try {
    return staplingOf(certPem);
  } catch (error) {
    const problem = `it cannot be taken apart: ${(error as Error).message}`;
    return { mustStaple: false, question: null, problem };
  }
}
