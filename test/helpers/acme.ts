// ACME as an edge runs it, with a clock that tests set, and servers that answer challenges as an edge does.

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import type { BindAddress } from '../../src/config/config.ts';
import { Acme, type AcmeOptions, type Pair } from '../../src/edge/acme/acme.ts';
import type { AcmeSettings } from '../../src/edge/acme/settings.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { type PebbleOptions, startPebble } from './pebble.ts';
import type { Owner } from './portico.ts';
import { until } from './until.ts';

export interface RunningAcme {
  readonly acme: Acme;
  readonly settings: AcmeSettings;
  readonly storage: string;
  /** Lines of the log: "level message {facts}". */
  readonly logged: string[];
  /** Moves the clock. */
  jump(ms: number): void;
  now(): number;
  /** The certificates last handed over, by host. */
  served(host: string): X509Certificate | null;
  /** Resolves when there is a certificate for the host that is no stand-in (and not `other`). */
  issued(host: string, other?: X509Certificate): Promise<X509Certificate>;
  /** As the helper of this name, with the log in what it throws. */
  until: typeof until;
}

const binds: readonly BindAddress[] = [
  { kind: 'tcp', host: '127.0.0.1', port: 80, tls: false },
  { kind: 'tcp', host: '127.0.0.1', port: 443, tls: true },
];

export function temporaryDirectory(t: Owner): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-acme-'));
  t.after(async () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function startAcme(
  t: Owner,
  ca: { readonly directoryUrl: string; readonly tls: { readonly caPem: string } },
  changes: Partial<AcmeSettings> = {},
  options: Partial<AcmeOptions> = {},
): Promise<RunningAcme> {
  const storage = changes.acmeStorage ?? join(temporaryDirectory(t), 'acme');
  const settings: AcmeSettings = {
    acme: ['one.example'],
    acmeEmail: null,
    acmeDirectory: ca.directoryUrl,
    acmeStaging: false,
    acmeStorage: storage,
    acmeEabKid: null,
    acmeEabHmacKey: null,
    extraCa: ca.tls.caPem,
    acmeChallenges: ['http-01', 'tls-alpn-01'],
    acmeProfile: null,
    bind: binds,
    ...changes,
  };
  const logged: string[] = [];
  let offsetMs = 0;
  let pairs: readonly Pair[] = [];
  const now = () => Date.now() + offsetMs;
  const acme = new Acme(settings, {
    log: recordingLog(logged),
    version: '0.0.0',
    onPairs: (all) => {
      pairs = all;
    },
    now,
    tickMs: 20,
    ...options,
  });
  t.after(() => acme.close());
  await acme.start();
  const served = (host: string) => {
    const found = pairs.find(({ hosts }) => hosts.includes(host));
    return found === undefined ? null : new X509Certificate(found.certPem);
  };
  const withLog: typeof until = (what, look) =>
    until(what, look).catch((cause: Error) => {
      throw new Error(`${cause.message}; logged:\n${logged.join('\n')}`);
    });
  return {
    acme,
    settings,
    storage,
    logged,
    jump: (ms) => {
      offsetMs += ms;
    },
    now,
    served,
    issued: (host, other) =>
      withLog(`certificate for ${host}`, () => {
        const certificate = served(host);
        if (certificate === null || certificate.issuer === certificate.subject) return null;
        return certificate.fingerprint256 === other?.fingerprint256 ? null : certificate;
      }),
    until: withLog,
  };
}

export function recordingLog(logged: string[]): Log {
  const write = (level: string) => (message: string, facts?: object) =>
    void logged.push(
      `${level} ${message}${facts === undefined ? '' : ` ${JSON.stringify(facts)}`}`,
    );
  return {
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warning: write('warning'),
    error: write('error'),
    critical: write('critical'),
    reopen() {},
  };
}

export interface Responders {
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Who answers; null = nobody knows anything. */
  answers: Acme['challenges'] | null;
  /** Challenges that were answered: "http-01 TOKEN", "tls-alpn-01 HOST". */
  readonly answered: string[];
}

/** The ports that a CA comes to. */
/** A Pebble of its own, and one that has certificates of it and whose answers it finds. `ca`: beside the ports. */
export async function startWithPebble(
  t: Owner,
  changes: Partial<AcmeSettings> = {},
  ca: PebbleOptions = {},
) {
  const ports = await startResponders(t);
  const pebble = await startPebble(t, { ...ports, ...ca });
  const running = await startAcme(t, pebble, changes);
  ports.answers = running.acme.challenges;
  return { ports, pebble, running };
}

export async function startResponders(t: Owner): Promise<Responders> {
  const http = createServer((request, response) => {
    const token = request.url?.split('/').at(-1) ?? '';
    void Promise.resolve(all.answers?.http01(token) ?? null).then((text) => {
      if (text !== null) all.answered.push(`http-01 ${token}`);
      response.writeHead(text === null ? 404 : 200).end(text ?? '');
    });
  }).listen(0, '127.0.0.1');
  const tls = createTlsServer({
    ALPNProtocols: ['acme-tls/1'],
    SNICallback: (name, done) => {
      const context = all.answers?.tlsAlpn(name) ?? null;
      if (context !== null) all.answered.push(`tls-alpn-01 ${name}`);
      done(null, context ?? undefined);
    },
  }).listen(0, '127.0.0.1');
  tls.on('tlsClientError', () => {});
  await Promise.all([once(http, 'listening'), once(tls, 'listening')]);
  const port = (server: { address(): unknown }) => (server.address() as { port: number }).port;
  const all: Responders = {
    httpPort: port(http),
    tlsPort: port(tls),
    answers: null,
    answered: [],
  };
  t.after(async () => {
    http.closeAllConnections();
    http.close();
    tls.close();
  });
  return all;
}
