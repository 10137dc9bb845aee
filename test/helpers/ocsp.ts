// A CA of openssl's with its OCSP responder: certificates with a responder's address in them, and answers about these.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** By serial number; what is not in the list the responder does not know. */
export const serials = { ec: 0x11, rsa: 0x12, revoked: 0x13, mustStaple: 0x14, unknown: 0x99 };

export interface LeafOptions {
  readonly key?: 'ec' | 'rsa';
  readonly serial?: number;
  /** null = it names no responder. */
  readonly url?: string | null;
  readonly mustStaple?: boolean;
  readonly withIssuer?: boolean;
}

export class OcspCa {
  readonly dir = mkdtempSync(join(tmpdir(), 'portico-ocsp-'));
  private count = 0;

  constructor() {
    this.request('ca', 'ec', '/CN=Test CA');
    this.request('impostor', 'ec', '/CN=Test CA');
    for (const name of ['ca', 'impostor'])
      this.run(
        ...['x509', '-req', '-in', `${name}.csr`, '-signkey', `${name}.key`, '-days', '30'],
        ...['-set_serial', '1', '-out', `${name}.pem`],
        ...this.extensions('basicConstraints=critical,CA:TRUE'),
      );
    this.delegate('delegate', 'ca', 'OCSPSigning');
    this.delegate('webserver', 'ca', 'serverAuth');
    this.delegate('stranger', 'impostor', 'OCSPSigning');
    const line = (serial: number, revoked = '') =>
      `${revoked === '' ? 'V' : 'R'}\t491231235959Z\t${revoked}\t${serial.toString(16)}\tunknown\t/CN=${serial}\n`;
    const { ec, rsa, revoked, mustStaple } = serials;
    const list = [line(ec), line(rsa), line(revoked, '260101000000Z'), line(mustStaple)];
    writeFileSync(this.path('index.txt'), list.join(''));
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** The leaf and the CA's certificate. */
  leaf(options: LeafOptions = {}): { certPem: string; keyPem: string } {
    const { key = 'ec', serial = serials.ec, url = null, mustStaple = false } = options;
    const name = `leaf${++this.count}`;
    this.request(name, key, '/CN=a.test');
    this.sign(name, 'ca', serial, [
      'subjectAltName=DNS:a.test,DNS:localhost,IP:127.0.0.1',
      ...(url === null ? [] : [`authorityInfoAccess=OCSP;URI:${url}`]),
      ...(mustStaple ? ['tlsfeature=status_request'] : []),
    ]);
    const issuer = options.withIssuer === false ? '' : this.read('ca.pem');
    return { certPem: this.read(`${name}.pem`) + issuer, keyPem: this.read(`${name}.key`) };
  }

  /** What `openssl ocsp` answers. */
  answer(request: Buffer, signer = 'ca', ...more: readonly string[]): Buffer {
    writeFileSync(this.path('request.der'), request);
    const files = ['-reqin', 'request.der', '-respout', 'response.der'];
    this.run('ocsp', ...files, ...responder(signer), ...(more.length > 0 ? more : ['-ndays', '1']));
    return readFileSync(this.path('response.der'));
  }

  /** Starts the responder, the CA's delegate; resolves with its address. */
  async respond(): Promise<{ url: string; stop(): void }> {
    const args = ['ocsp', '-port', '0', ...responder('delegate'), '-ndays', '1'];
    const child = spawn('openssl', args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    const port = await new Promise<string>((done, fail) => {
      let text = '';
      const late = (): void => fail(new Error(`openssl ocsp does not listen: ${text}`));
      setTimeout(late, 10_000).unref();
      const onText = (chunk: Buffer): void => {
        text += chunk;
        const match = /ACCEPT \S*:(\d+) /.exec(text);
        if (match !== null) done(match[1]!);
      };
      child.stdout.on('data', onText);
      child.stderr.on('data', onText);
      child.on('exit', () => fail(new Error(`openssl ocsp has ended: ${text}`)));
    });
    return { url: `http://127.0.0.1:${port}/`, stop: () => child.kill('SIGKILL') };
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  private read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  private delegate(name: string, issuer: string, usage: string): void {
    this.request(name, 'rsa', `/CN=${name}`);
    this.sign(name, issuer, 2, [`extendedKeyUsage=${usage}`]);
  }

  private request(name: string, key: 'ec' | 'rsa', subject: string): void {
    const kind = key === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
    this.run('req', '-new', '-newkey', ...kind, '-nodes', ...files, '-subj', subject);
  }

  private sign(name: string, issuer: string, serial: number, extensions: readonly string[]): void {
    this.run(
      ...['x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', '20'],
      ...['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-set_serial', String(serial)],
      ...this.extensions(...extensions),
    );
  }

  private extensions(...lines: readonly string[]): string[] {
    writeFileSync(this.path('extensions.cnf'), `${lines.join('\n')}\n`);
    return ['-extfile', 'extensions.cnf'];
  }

  private run(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.dir, stdio: 'pipe', timeout: 20_000 });
  }
}

function responder(signer: string): string[] {
  const files = ['-index', 'index.txt', '-CA', 'ca.pem'];
  return [...files, '-rsigner', `${signer}.pem`, '-rkey', `${signer}.key`];
}
