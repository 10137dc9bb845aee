// Pebble, Let's Encrypt's own test server, with a DNS server that knows every name as 127.0.0.1.

import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyToPem, makeKeyPair } from '../../src/certificates/keys.ts';
import { makeCa, makeLeaf } from '../../src/certificates/make.ts';
import type { Owner } from './portico.ts';
import { freePorts } from './ports.ts';

export interface PebbleOptions {
  /** Where it looks for answers to challenges; 1 = nobody is there. */
  readonly httpPort?: number;
  readonly tlsPort?: number;
  readonly validitySeconds?: number;
  /** Percentage of good nonces that are refused. Default 0. */
  readonly nonceReject?: number;
  readonly eab?: Readonly<Record<string, string>>;
  /** Use the same again, as after a restart. */
  readonly port?: number;
  readonly tls?: TestTls;
}

export interface Pebble {
  readonly port: number;
  readonly directoryUrl: string;
  /** What its https is verified by. */
  readonly tls: TestTls;
  /** Root that its certificates come from, PEM. */
  root(): Promise<string>;
  log(): string;
  stop(): Promise<void>;
}

/** A CA for servers on 127.0.0.1, and what one needs. */
export interface TestTls {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const day = 86_400_000;

export async function testTls(): Promise<TestTls> {
  const times = { nowMs: Date.now(), lifetimeMs: day };
  const caKey = await makeKeyPair();
  const ca = await makeCa({ key: caKey, name: 'Test CA', ...times });
  const key = await makeKeyPair();
  const leaf = await makeLeaf({
    issuer: { certificate: new X509Certificate(ca.der), privateKey: caKey.privateKey },
    publicKey: key.publicKey,
    hosts: ['127.0.0.1', 'localhost'],
    ...times,
  });
  return { caPem: ca.pem, certPem: leaf.pem, keyPem: keyToPem(key.privateKey) };
}

/** `needs('pebble', 'pebble-challtestsrv')` skips where they are missing. */
export async function startPebble(t: Owner, options: PebbleOptions = {}): Promise<Pebble> {
  for (let tries = 1; ; tries++) {
    try {
      return await tryPebble(t, options);
    } catch (error) {
      // It takes no port 0: another program may have had one of the free ports since.
      if (tries === 3) throw error;
    }
  }
}

async function tryPebble(t: Owner, options: PebbleOptions): Promise<Pebble> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-pebble-'));
  const [ownPort, management, dns, dnsManagement] = await freePorts(4);
  const port = options.port ?? ownPort!;
  const tls = options.tls ?? (await testTls());
  const at = (name: string) => join(dir, name);
  writeFileSync(at('cert.pem'), tls.certPem);
  writeFileSync(at('key.pem'), tls.keyPem);
  const { eab = {}, validitySeconds = 0, httpPort = 1, tlsPort = 1 } = options;
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: at('cert.pem'),
    privateKey: at('key.pem'),
    httpPort,
    tlsPort,
    externalAccountBindingRequired: Object.keys(eab).length > 0,
    externalAccountMACKeys: eab,
    ...(validitySeconds === 0 ? {} : { certificateValidityPeriod: validitySeconds }),
  };
  writeFileSync(at('config.json'), JSON.stringify({ pebble: config }));
  let printed = '';
  const start = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, {
      env: {
        PATH: process.env.PATH,
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_AUTHZREUSE: '0',
        PEBBLE_WFE_NONCEREJECT: String(options.nonceReject ?? 0),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        printed += text;
      });
    return child;
  };
  const dnsAt = `127.0.0.1:${dns}`;
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', ''];
  const children = [
    start('pebble-challtestsrv', [
      ...off,
      ...['-dns01', dnsAt, '-management', `127.0.0.1:${dnsManagement}`],
    ]),
    start('pebble', ['-config', at('config.json'), '-dnsserver', dnsAt]),
  ];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(ended));
    rmSync(dir, { recursive: true, force: true });
  };
  t.after(stop);
  const directoryUrl = `https://127.0.0.1:${port}/dir`;
  const dead = () => children.some(({ exitCode }) => exitCode !== null);
  const deadline = performance.now() + 15_000;
  while ((await fetchText(directoryUrl, tls.caPem)) === null) {
    if (dead() || performance.now() > deadline) {
      await stop();
      throw new Error(`pebble does not run:\n${printed}`);
    }
    await sleep(20);
  }
  return {
    port,
    directoryUrl,
    tls,
    root: async () => (await fetchText(`https://127.0.0.1:${management}/roots/0`, tls.caPem)) ?? '',
    log: () => printed,
    stop,
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) done();
    else {
      child.once('exit', () => done());
      child.kill('SIGKILL');
    }
  });
}

function fetchText(url: string, ca: string): Promise<string | null> {
  return new Promise((done) => {
    get(url, { ca, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => done(text));
    }).on('error', () => done(null));
  });
}
