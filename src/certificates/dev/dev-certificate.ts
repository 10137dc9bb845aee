// The local CA for development and the certificate that it gives, both kept in a directory of the user's.
//
//   ca.key.pem  the CA's key and certificate in one file, so that they can't fall apart
//   ca.pem      the CA's certificate alone: what is to be trusted
//   server.pem  key and certificate of the server
//
// Only the command line and the arbiter come here: an edge gets the server's pair like any other.

import { type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { certificateNames } from '../facts.ts';
import { readHost } from '../hosts.ts';
import { keyPairFromPem, keyToPem, makeKeyPair } from '../keys.ts';
import { type Issuer, makeCa, makeLeaf } from '../make.ts';
import { nameConstraints } from '../read-extensions.ts';
import { constraintsFor, permits, usualHosts } from './hosts.ts';
import {
  createOwnFile,
  DevCertificateFault,
  ensureOwnDirectory,
  readOwnFile,
  replaceOwnFile,
} from './own-files.ts';

const dayMs = 86_400_000;
const caLifetimeMs = 3650 * dayMs;
/** Apple takes at most 825 days, and what is renewed by itself can be short. */
const leafLifetimeMs = 90 * dayMs;
/** Less than this left: renewed. */
const leafRenewMs = 30 * dayMs;
/** Names of former starts stay in the certificate, so that two projects don't take turns in changing it. */
const hostsMax = 50;

export interface DevOptions {
  /** Absolute. Made if it is not there. */
  readonly dir: string;
  /** The machine's name, and the user's: the CA is called after them. */
  readonly machine: string;
  readonly user: string;
  /** Names and addresses beside the usual ones. */
  readonly hosts: readonly string[];
  readonly nowMs: number;
}

export interface DevCertificate {
  /** Path of the server's key and certificate. */
  readonly path: string;
  readonly ca: DevCa;
  readonly notAfterMs: number;
  /** Of `hosts`, those that it is not for, since the CA may not vouch for them. */
  readonly left: readonly string[];
}

export interface DevCa {
  /** Path of the certificate. */
  readonly path: string;
  readonly certificate: X509Certificate;
  /** Made just now, so that nobody trusts it yet. */
  readonly isNew: boolean;
}

export type DevResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

/** Makes what is missing or near its end. Several may do so at once: they end up with one CA. */
export function openDevCertificate(options: DevOptions): Promise<DevResult<DevCertificate>> {
  return asResult(async () => {
    const ca = await openCa(options);
    const wanted = [...usualHosts(options.machine), ...options.hosts];
    const hosts = unique(wanted.filter(ca.vouchesFor));
    const left = options.hosts.filter((host) => !ca.vouchesFor(host));
    const path = join(options.dir, 'server.pem');
    const there = await readServer(path, ca.issuer);
    const isGood =
      there !== null &&
      hosts.every((host) => there.keys.has(hostKey(host))) &&
      endsLateEnough(there.notAfterMs, ca.issuer, options.nowMs);
    const former = there === null ? [] : there.names.filter(ca.vouchesFor);
    const notAfterMs = isGood
      ? there.notAfterMs
      : await makeServer(path, ca.issuer, {
          hosts: unique([...hosts, ...former]).slice(0, Math.max(hostsMax, hosts.length)),
          nowMs: options.nowMs,
        });
    return { path, ca: told(ca), notAfterMs, left };
  });
}

/** The CA alone. */
export function openDevCa(options: Omit<DevOptions, 'hosts'>): Promise<DevResult<DevCa>> {
  return asResult(async () => told(await openCa(options)));
}

interface OpenCa {
  readonly path: string;
  readonly issuer: Issuer;
  readonly isNew: boolean;
  readonly vouchesFor: (host: string) => boolean;
}

function told({ path, issuer, isNew }: OpenCa): DevCa {
  return { path, certificate: issuer.certificate, isNew };
}

async function openCa(options: Omit<DevOptions, 'hosts'>): Promise<OpenCa> {
  const { dir, nowMs } = options;
  await ensureOwnDirectory(dir);
  const secretPath = join(dir, 'ca.key.pem');
  let text = await readOwnFile(secretPath);
  let isNew = false;
  if (text === null) {
    isNew = await createOwnFile(secretPath, await newCa(options));
    // Ours, or that of whoever was first.
    text = await readOwnFile(secretPath);
  }
  const issuer = readPair(text ?? '');
  const again = `remove ${dir}, and the next start makes a new one (which is to be trusted anew)`;
  if (issuer === null)
    throw new DevCertificateFault(
      `${secretPath} does not hold a key and its certificate: ${again}`,
    );
  const { certificate } = issuer;
  if (nowMs > Date.parse(certificate.validTo))
    throw new DevCertificateFault(`the development CA expired on ${certificate.validTo}: ${again}`);
  if (nowMs < Date.parse(certificate.validFrom))
    throw new DevCertificateFault(
      `the development CA is valid from ${certificate.validFrom} on: is the clock right? If it is, ${again}`,
    );
  const path = join(dir, 'ca.pem');
  await writeTrusted(path, certificate.toString());
  const constraints = await nameConstraints(certificate);
  return {
    path,
    issuer,
    isNew,
    vouchesFor: (host) => constraints === null || permits(constraints, host),
  };
}

/** What people import: always that of the key. */
async function writeTrusted(path: string, pem: string): Promise<void> {
  const there = await readOwnFile(path).catch(() => null);
  if (there !== pem) await replaceOwnFile(path, pem);
}

async function newCa(options: Omit<DevOptions, 'hosts'>): Promise<string> {
  const { machine, user, nowMs } = options;
  const key = await makeKeyPair('ecdsa');
  // A common name has at most 64 characters (RFC 5280, A.1).
  const owner = `${user}@${machine}`.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 39);
  const ca = await makeCa({
    key,
    name: `Portico development CA (${owner})`,
    constraints: constraintsFor(machine),
    nowMs,
    lifetimeMs: caLifetimeMs,
  });
  return keyToPem(key.privateKey) + ca.pem;
}

interface Server {
  readonly names: readonly string[];
  readonly keys: ReadonlySet<string>;
  readonly notAfterMs: number;
}

/** null = there is none that this CA has given, or none that can be read: a new one costs nothing. */
async function readServer(path: string, issuer: Issuer): Promise<Server | null> {
  const pair = readPair((await readOwnFile(path)) ?? '');
  if (pair === null || !pair.certificate.verify(issuer.certificate.publicKey)) return null;
  const names = certificateNames(pair.certificate);
  const keys = new Set(names.map(hostKey));
  return { names, keys, notAfterMs: Date.parse(pair.certificate.validTo) };
}

function endsLateEnough(notAfterMs: number, { certificate }: Issuer, nowMs: number): boolean {
  // It can't outlive its CA, whose last month would else bring a new one at each look.
  return notAfterMs - nowMs > leafRenewMs || notAfterMs >= Date.parse(certificate.validTo);
}

async function makeServer(
  path: string,
  issuer: Issuer,
  { hosts, nowMs }: { readonly hosts: readonly string[]; readonly nowMs: number },
): Promise<number> {
  const key = await makeKeyPair('ecdsa');
  const caLeftMs = Date.parse(issuer.certificate.validTo) - nowMs;
  const lifetimeMs = Math.min(leafLifetimeMs, caLeftMs);
  const leaf = await makeLeaf({ issuer, publicKey: key.publicKey, hosts, nowMs, lifetimeMs });
  await replaceOwnFile(path, keyToPem(key.privateKey) + leaf.pem);
  return Math.floor((nowMs + lifetimeMs) / 1000) * 1000;
}

/** A file of a key and its certificate; null where it is anything else. */
function readPair(text: string): { certificate: X509Certificate; privateKey: KeyObject } | null {
  try {
    const { privateKey } = keyPairFromPem(text);
    const certificate = new X509Certificate(text.slice(text.indexOf('-----BEGIN CERTIFICATE')));
    return certificate.checkPrivateKey(privateKey) ? { certificate, privateKey } : null;
  } catch {
    return null;
  }
}

/** The same for all spellings of an address. */
function hostKey(text: string): string {
  const host = readHost(text);
  if (host === null) return text;
  return host.kind === 'dns' ? host.name : host.octets.toString('hex');
}

function unique(hosts: readonly string[]): string[] {
  return [...new Map(hosts.map((host) => [hostKey(host), host])).values()];
}

async function asResult<T>(act: () => Promise<T>): Promise<DevResult<T>> {
  try {
    return { ok: true, value: await act() };
  } catch (error) {
    if (!(error instanceof DevCertificateFault)) throw error;
    return { ok: false, problem: error.message };
  }
}
