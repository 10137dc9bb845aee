// Finds all addresses of a name, and for how long they hold.
//
// DNS itself is asked first, by c-ares: it says the TTL, gives all records, and waits in no thread of the pool
// that files are read by. What it does not know is left to getaddrinfo, which also knows search domains (short
// names in Kubernetes) and the hosts file; a name that is in that file is its alone.

import { lookup, Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

export interface Found {
  /** Each once, sorted. */
  readonly addresses: readonly string[];
  /** null = not known. */
  readonly ttlMs: number | null;
}

/** More than any balancer needs, and each costs a connection now and then. */
const ADDRESSES_MAX = 256;
const ASK_MS = 2_000;
const HOSTS_FILE = '/etc/hosts';

/** Servers of DNS other than the system's, as "127.0.0.1:5353", for tests. */
export function createResolver(servers: readonly string[] | null): Resolver {
  const resolver = new Resolver({ timeout: ASK_MS, tries: 2 });
  if (servers !== null) resolver.setServers(servers);
  return resolver;
}

/** No addresses: there is no such name. Rejects where nobody could say. */
export async function findAddresses(name: string, resolver: Resolver): Promise<Found> {
  if (isIP(name) !== 0) return { addresses: [name], ttlMs: null };
  if (!(await isInHostsFile(name))) {
    const found = await askDns(name, resolver);
    if (found !== null) return found;
  }
  return await askSystem(name);
}

/** null: it knows no such name, or does not answer. */
async function askDns(name: string, resolver: Resolver): Promise<Found | null> {
  const answers = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }),
    resolver.resolve6(name, { ttl: true }),
  ]);
  const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (records.length === 0) return null;
  const ttlMs = Math.min(...records.map(({ ttl }) => ttl)) * 1_000;
  return { addresses: sorted(records.map(({ address }) => address)), ttlMs };
}

async function askSystem(name: string): Promise<Found> {
  try {
    const records = await lookup(name, { all: true });
    return { addresses: sorted(records.map(({ address }) => address)), ttlMs: null };
  } catch (error) {
    // EAI_AGAIN and the like: nobody could say.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTFOUND') throw error;
    return { addresses: [], ttlMs: null };
  }
}

function sorted(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].sort().slice(0, ADDRESSES_MAX);
}

async function isInHostsFile(name: string): Promise<boolean> {
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  try {
    const text = await readFile(HOSTS_FILE, 'utf8');
    const lines = text.split('\n').map((line) => line.replace(/#.*/, '').toLowerCase());
    return lines.some((line) => line.trim().split(/\s+/).slice(1).includes(name));
  } catch {
    return false;
  }
}
