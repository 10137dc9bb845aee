// The certificates of an edge, ready for handshakes: the name a client asks for chooses one.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import { type ContextSettings, createContext } from '../../certificates/contexts.ts';
import { certificateFacts } from '../../certificates/facts.ts';
import type { CertificateSummary, StapleStatus } from '../../ipc/messages.ts';

/** A chain and its key. */
export interface CertificatePair {
  /** Names to serve it for; empty = those in the certificate. */
  readonly hosts: readonly string[];
  /** Where it is, for people. */
  readonly file?: string;
  /** The leaf first. */
  readonly certPem: string;
  /** Not encrypted. */
  readonly keyPem: string;
}

export interface StoreSettings extends ContextSettings {
  readonly tlsUnknownName: 'default' | 'refuse';
}

/** 48 bytes each: a name that stands in the ticket, and two keys. */
export interface TicketKeys {
  readonly current: Buffer;
  readonly former: Buffer | null;
}

const TICKET_NAME_BYTES = 16;

interface Entry extends CertificatePair {
  readonly names: readonly string[];
  /** A name may have a certificate of each type, of which the handshake takes one. */
  readonly keyType: string;
  readonly facts: Omit<CertificateSummary, 'staple'>;
}

/** What a handshake with this context may show: one certificate of each type of key. */
export interface ServedPairs {
  readonly context: SecureContext;
  readonly pairs: readonly { readonly certPem: string; readonly keyType: string }[];
}

/** Where certificates come from, the first that has a name is taken: what was configured as a file is
 *  what is meant. Sources that are not named here come last, in the order in which they came. */
const precedence = ['files', 'acme', 'dev'];

export class CertificateStore {
  private settings: StoreSettings;
  private readonly sources = new Map<string, readonly Entry[]>();
  private contexts = new Map<string, SecureContext>();
  /** The certificates of each context. */
  private pairs: readonly ServedPairs[] = [];
  private byName = new Map<string, SecureContext>();
  private fallback: SecureContext | null = null;
  private ticketKeys: TicketKeys | null = null;
  private readonly listeners: (() => void)[] = [];

  /** Throws where a certificate or a setting can't be used. */
  constructor(settings: StoreSettings, files: readonly CertificatePair[] = []) {
    this.settings = settings;
    this.set('files', files);
  }

  /** `listener` is called after each change. */
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** The context for what a client asks for, null = end the handshake with unrecognized_name. The same
   *  object for all names that have the same certificates. */
  select(serverName: string | undefined): SecureContext | null {
    if (serverName === undefined || serverName === '') return this.fallback;
    const name = serverName.toLowerCase();
    const exact = this.byName.get(name) ?? this.byName.get(`*${name.slice(name.indexOf('.'))}`);
    if (exact !== undefined) return exact;
    // RFC 6066 section 3 has no addresses there: as if none was named.
    if (this.settings.tlsUnknownName === 'default' || isIP(name) !== 0) return this.fallback;
    return null;
  }

  get isEmpty(): boolean {
    return this.fallback === null;
  }

  /** Replaces all certificates of a source. Throws, and changes nothing, where one can't be used. */
  set(source: string, pairs: readonly CertificatePair[]): void {
    this.change(
      source,
      pairs.map((pair) => this.entry(source, pair)),
    );
  }

  /** Adds a certificate, in place of that of the source with the same hosts. Throws as set() does. */
  put(source: string, pair: CertificatePair): void {
    const entry = this.entry(source, pair);
    const key = entry.names.join();
    const others = this.sources.get(source) ?? [];
    this.change(source, [...others.filter(({ names }) => names.join() !== key), entry]);
  }

  /** New settings for all contexts, and new pairs of 'files'. Throws, and changes nothing, where they
   *  can't be used. */
  configure(settings: StoreSettings, files: readonly CertificatePair[]): void {
    const { settings: before, contexts } = this;
    this.settings = settings;
    // Contexts of the same certificates and settings go on, with the sessions that they know.
    if (!sameSettings(before, settings)) this.contexts = new Map();
    try {
      this.set('files', files);
    } catch (error) {
      this.settings = before;
      this.contexts = contexts;
      throw error;
    }
  }

  /** For the session tickets of all contexts: new ones are made by the current key. */
  setTicketKeys(keys: TicketKeys): void {
    this.ticketKeys = keys;
    for (const context of this.contexts.values()) giveTicketKeys(context, keys.current);
  }

  /** Runs `begin`, which reads the ClientHello, with the key that the client's ticket was made by. A context
   *  takes one key only, but takes another for the moment. Node sends no new ticket in a resumed session. */
  withTicketsOf(hello: Buffer, context: SecureContext, begin: () => void): void {
    const former = this.ticketKeys?.former ?? null;
    if (former === null || !hello.includes(former.subarray(0, TICKET_NAME_BYTES))) {
      begin();
      return;
    }
    giveTicketKeys(context, former);
    try {
      begin();
    } finally {
      giveTicketKeys(context, this.ticketKeys!.current);
    }
  }

  /** All contexts that handshakes may get. */
  served(): readonly ServedPairs[] {
    return this.pairs;
  }

  summary(stapleOf: (certPem: string) => StapleStatus | null = () => null): CertificateSummary[] {
    return inOrder(this.sources).map(({ facts, certPem }) => ({
      ...facts,
      staple: stapleOf(certPem),
    }));
  }

  private entry(source: string, pair: CertificatePair): Entry {
    const certificate = new X509Certificate(pair.certPem);
    const { names, ...facts } = certificateFacts(certificate);
    const served = pair.hosts.length > 0 ? pair.hosts.map((host) => host.toLowerCase()) : names;
    return {
      ...pair,
      names: served,
      keyType: certificate.publicKey.asymmetricKeyType ?? '',
      facts: { source, names: served, file: pair.file ?? null, ...facts },
    };
  }

  private change(source: string, entries: readonly Entry[]): void {
    const next = new Map(this.sources).set(source, entries);
    this.index(next);
    this.sources.set(source, entries);
    for (const listener of this.listeners) listener();
  }

  /** Makes what is not there yet, then swaps; what nobody uses any more goes. */
  private index(sources: ReadonlyMap<string, readonly Entry[]>): void {
    const entries = inOrder(sources);
    const groups = new Map<string, Map<string, Entry>>();
    for (const entry of entries)
      for (const name of entry.names) {
        const group = groups.get(name) ?? new Map<string, Entry>();
        groups.set(name, group);
        if (!group.has(entry.keyType)) group.set(entry.keyType, entry);
      }
    const used = new Map<string, SecureContext>();
    const served: ServedPairs[] = [];
    const contextOf = (group: readonly Entry[]): SecureContext => {
      const key = group.map(({ certPem, keyPem }) => certPem + keyPem).join('\0');
      const context = used.get(key) ?? this.contexts.get(key) ?? this.make(group);
      if (!used.has(key)) served.push({ context, pairs: group });
      used.set(key, context);
      return context;
    };
    const byName = new Map<string, SecureContext>();
    for (const [name, group] of groups) byName.set(name, contextOf([...group.values()]));
    const [first] = entries;
    // One without names (they may be given by hosts, or not at all) can be the default none the less.
    const fallback =
      first === undefined ? null : (byName.get(first.names[0] ?? '') ?? contextOf([first]));
    this.byName = byName;
    this.fallback = fallback;
    this.contexts = used;
    this.pairs = served;
  }

  private make(group: readonly Entry[]): SecureContext {
    const context = createContext(group, this.settings);
    if (this.ticketKeys !== null) giveTicketKeys(context, this.ticketKeys.current);
    return context;
  }
}

function inOrder(sources: ReadonlyMap<string, readonly Entry[]>): Entry[] {
  const rank = (source: string) =>
    (precedence.indexOf(source) + precedence.length + 1) % (precedence.length + 1);
  return [...sources].sort(([a], [b]) => rank(a) - rank(b)).flatMap(([, entries]) => entries);
}

function giveTicketKeys({ context }: SecureContext, keys: Buffer): void {
  // Node has it on its servers only, and those that choose a context by name have many of these.
  (context as { setTicketKeys(keys: Buffer): void }).setTicketKeys(keys);
}

function sameSettings(a: StoreSettings, b: StoreSettings): boolean {
  return a.ciphers === b.ciphers && a.tlsMinVersion === b.tlsMinVersion && a.caPem === b.caPem;
}
