// Puts the development certificate among those that the settings name, and renews it while the server runs.

import { networkInterfaces } from 'node:os';
import type { Config } from '../config/config.ts';
import { deepFreeze } from '../config/resolve.ts';
import { type Log, openLog } from '../telemetry/log.ts';
import { devPlace, noPlace } from './cert/dev-place.ts';
import type { LoadedApart } from './load-apart.ts';

/** Three small files are read: also what another start has just put there without this one's names is noticed. */
const lookEveryMs = 60_000;
/** Interfaces of containers come by the dozen. */
const addressesMax = 16;

export interface DevCertificates {
  /** The config with the certificate's file in it, which is made if need be; as it is without `tls: 'dev'`. */
  put(config: Config): Promise<LoadedApart<Config>>;
  /** No more renewals. */
  close(): void;
}

export function devCertificates({ lookMs = lookEveryMs } = {}): DevCertificates {
  /** Of the settings in force, or of a reload that may yet be given up: it does no harm. */
  let latest: Config | null = null;
  let said = '';
  const say = (config: Config, level: 'info' | 'warning', text: string): void => {
    if (text === said) return;
    said = text;
    logOf(config)?.[level](text);
  };
  let timer: NodeJS.Timeout | null = null;

  async function look(): Promise<void> {
    const config = latest;
    if (config === null) return;
    // Whatever it is, the server goes on with the certificate it has.
    const made = await open(config).catch(
      (error) => ({ ok: false, problem: String(error) }) as const,
    );
    if (!made.ok)
      say(config, 'warning', `Cannot renew the development certificate: ${made.problem}`);
  }

  return {
    async put(config) {
      if (!config.tls.dev) {
        latest = null;
        return { ok: true, config };
      }
      const made = await open(config);
      if (!made.ok)
        return {
          ok: false,
          problems: [`Cannot make the certificate of --tls dev: ${made.problem}`],
        };
      latest = config;
      timer ??= setInterval(() => void look(), lookMs).unref();
      const { path, ca, left } = made.value;
      for (const host of left)
        logOf(config)?.warning(
          `The development certificate is not for ${host}: its CA vouches for local names alone`,
        );
      say(
        config,
        'info',
        `The certificate is for development, by the CA in ${ca.path}. How to trust it: portico cert dev`,
      );
      const files = { cert: path, key: null, passphrase: null, hosts: [] };
      const { tls } = config;
      const certificates = [...tls.certificates, files];
      return { ok: true, config: deepFreeze({ ...config, tls: { ...tls, certificates } }) };
    },
    close() {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
  };
}

async function open({ bind, tls }: Config) {
  const place = devPlace();
  if (place === null) return { ok: false, problem: noPlace } as const;
  const everywhere = bind.some(
    (address) => address.tls && address.kind === 'tcp' && /^[0.:]+$/.test(address.host),
  );
  // Only who develops so needs the code of it.
  const { openDevCertificate } = await import('../certificates/dev/dev-certificate.ts');
  const made = await openDevCertificate({
    ...place,
    hosts: [...tls.devHosts, ...(everywhere ? ownAddresses() : [])],
    nowMs: Date.now(),
  });
  if (!made.ok) return made;
  // An address of the internet is this machine's by chance: only what was asked for is missed.
  const left = made.value.left.filter((host) => tls.devHosts.includes(host));
  return { ok: true, value: { ...made.value, left } } as const;
}

/** By which other machines of the network reach this one. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => address)
    .slice(0, addressesMax);
}

function logOf({ logLevel: level, logFormat: format, errorLogfile: file }: Config): Log | null {
  try {
    return openLog({ level, format, file, role: 'arbiter' });
  } catch {
    // The arbiter opens the same file, and says why it can't.
    return null;
  }
}
