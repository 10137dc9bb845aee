// What `tls: 'dev'` makes of the other settings, and when it is meant though nobody said so.

import { isIP } from 'node:net';
import type { BindAddress, Config } from './config.ts';
import type { Settled } from './resolve.ts';

export interface DevFacts {
  readonly settled: ReadonlyMap<string, Settled>;
  /** Standard output is a terminal: somebody tries something out. */
  readonly onTerminal: boolean;
}

/** The config with the names that the development certificate is to be for. Before names are looked up. */
export function withDevTls(config: Config, { settled, onTerminal }: DevFacts): Config {
  const { tls, certfile, acme } = config;
  const hasCertificate = certfile !== null || tls.certificates.length > 0 || acme.length > 0;
  const isMeant = onTerminal && !hasCertificate && config.bind.some((address) => address.tls);
  if (!tls.dev && !isMeant) return config;
  // --tls dev and no bind: who wants TLS does not mean the plain default.
  const isDefault = settled.get('bind')?.origin.from === 'default';
  const bind = isDefault ? config.bind.map(secured) : config.bind;
  const named = bind.flatMap((address) => (address.tls ? hostsOf(address) : []));
  const devHosts = [...new Set([...tls.devHosts, ...named])];
  return { ...config, bind, tls: { ...tls, dev: true, devHosts } };
}

function secured(address: BindAddress): BindAddress {
  return address.kind === 'unix' ? address : { ...address, tls: true };
}

/** "0.0.0.0" and "::" are nobody's address. */
function hostsOf(address: BindAddress): string[] {
  if (address.kind !== 'tcp') return [];
  const { host } = address;
  return isIP(host) !== 0 && /^[0.:]+$/.test(host) ? [] : [host];
}
