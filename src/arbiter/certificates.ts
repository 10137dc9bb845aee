// The files of certificates and keys: read by the arbiter alone, which has the rights for it, and
// handed to the edges. The last pair that was good is kept, whatever becomes of the files.

import { loadClientCa } from '../certificates/client-ca.ts';
import { type LoadedPair, loadPair, type PairFiles } from '../certificates/load.ts';
import { certificateFiles, idleCertificates } from '../config/certificate-files.ts';
import type { Config } from '../config/config.ts';
import type { TlsFiles } from '../ipc/messages.ts';
import { watchPaths } from './watch-paths.ts';

/** What loads one set of files again and says whether it has new content. */
interface Source {
  readonly paths: readonly string[];
  load(): Promise<Loaded>;
}

type Loaded =
  | { readonly ok: true; readonly content: Content; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly reasons: readonly string[] };

type Content =
  | { readonly kind: 'pair'; readonly files: PairFiles; readonly pair: LoadedPair }
  | { readonly kind: 'ca'; readonly path: string; readonly pem: string };

export interface CertificateKeeper {
  /** Reads all that the settings name. Where there are problems nothing has changed. */
  load(config: Config): Promise<{
    readonly problems: readonly string[];
    readonly warnings: readonly string[];
  }>;
  /** These settings are in force: their files are watched, those of others are forgotten. */
  adopt(config: Config, observer: CertificateObserver): void;
  /** What the edges are given. */
  files(): TlsFiles;
  close(): void;
}

export interface CertificateObserver {
  /** Files have changed, and are good. */
  onChange(): void;
  onNotice(level: 'info' | 'warning' | 'error', text: string): void;
}

export function createCertificateKeeper(): CertificateKeeper {
  const contents = new Map<string, Content>();
  let unwatch = (): void => {};

  /** Whether the files are good; it may be only for a moment that they are not. */
  async function reload(
    id: string,
    source: Source,
    isFinal: boolean,
    { onChange, onNotice }: CertificateObserver,
  ): Promise<boolean> {
    const loaded = await source.load();
    const before = contents.get(id);
    // Settings that no longer name it came into force meanwhile.
    if (before === undefined) return true;
    if (!loaded.ok) {
      const why = loaded.reasons.join('; ');
      if (isFinal)
        onNotice('error', `Not taking a changed certificate, the former one stays: ${why}`);
      return false;
    }
    if (same(before, loaded.content)) return true;
    contents.set(id, loaded.content);
    onNotice('info', `Taking a changed certificate: ${source.paths.join(', ')}`);
    for (const warning of loaded.warnings) onNotice('warning', warning);
    onChange();
    return true;
  }

  return {
    async load(config) {
      const problems: string[] = [];
      const good: [string, Content][] = [];
      const idle = idleCertificates(config);
      const warnings = idle === null ? [] : [idle];
      for (const [id, source] of sourcesOf(config)) {
        const loaded = await source.load();
        if (!loaded.ok) problems.push(...loaded.reasons);
        else {
          good.push([id, loaded.content]);
          warnings.push(...loaded.warnings);
        }
      }
      if (problems.length === 0) for (const [id, content] of good) contents.set(id, content);
      return { problems, warnings };
    },
    adopt(config, observer) {
      unwatch();
      const sources = sourcesOf(config);
      for (const id of contents.keys()) if (!sources.has(id)) contents.delete(id);
      const stops = [...sources].map(([id, source]) =>
        watchPaths(source.paths, (isFinal) => reload(id, source, isFinal, observer)),
      );
      unwatch = () => {
        for (const stop of stops) stop();
      };
    },
    files() {
      const pairs: TlsFiles['pairs'][number][] = [];
      const clientCas: TlsFiles['clientCas'][number][] = [];
      for (const content of contents.values()) {
        if (content.kind === 'ca') clientCas.push({ path: content.path, pem: content.pem });
        else {
          const { cert, key } = content.files;
          pairs.push({ cert, key, ...content.pair });
        }
      }
      return { pairs, clientCas };
    },
    close: () => unwatch(),
  };
}

function sourcesOf(config: Config): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (const files of certificateFiles(config)) {
    const { cert, key } = files;
    const paths = key === null ? [cert] : [cert, key];
    sources.set(`pair ${paths.join('\0')}`, { paths, load: () => loadFiles(files) });
  }
  const { caCerts } = config;
  if (caCerts !== null)
    sources.set(`ca ${caCerts}`, { paths: [caCerts], load: () => loadCa(caCerts) });
  return sources;
}

async function loadFiles(files: PairFiles): Promise<Loaded> {
  const result = await loadPair(files);
  if (!result.ok) return { ok: false, reasons: result.faults.map(({ reason }) => reason) };
  const { pair, warnings } = result;
  return { ok: true, content: { kind: 'pair', files, pair }, warnings };
}

async function loadCa(path: string): Promise<Loaded> {
  const result = await loadClientCa(path);
  if (!result.ok) return { ok: false, reasons: [result.reason] };
  return { ok: true, content: { kind: 'ca', path, pem: result.pem }, warnings: [] };
}

function same(a: Content, b: Content): boolean {
  if (a.kind === 'ca') return b.kind === 'ca' && a.pem === b.pem;
  return b.kind === 'pair' && a.pair.certPem === b.pair.certPem && a.pair.keyPem === b.pair.keyPem;
}
