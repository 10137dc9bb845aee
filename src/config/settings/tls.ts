// Settings of TLS and HTTP/2: certificates, versions and ciphers, clients' certificates.

import { resolve } from 'node:path';
import { hstsPolicy } from '../hsts.ts';
import { boolean, choice, duration, integer, type Kind, optional, text } from '../kinds.ts';
import type { Facts } from '../setting.ts';
import { type Setting, setting } from '../setting.ts';
import { certificateFieldsTable, tlsTable } from '../tls-table.ts';

const file = (expected: string) => optional(text(expected, 'FILE'), 'none');
const absolute = (path: string | null, { chdir }: Facts) =>
  path === null ? null : resolve(chdir, path);

/** Its name makes it one that is shown nowhere: see isSecretName(). */
const secret = (expected: string, placeholder: string): Kind<string | null> => ({
  ...optional(text(expected, placeholder), 'none'),
  show: (value) => (value === null ? 'none' : '(hidden)'),
});

/** YAML makes a number of 1.2, and Gunicorn's cert_reqs are numbers. */
const orNumber = <T>(kind: Kind<T>): Kind<T> => ({
  ...kind,
  inputType: `${kind.inputType} | number`,
  read: (raw) => kind.read(typeof raw === 'number' ? String(raw) : raw),
});

export const tlsSettings: readonly Setting[] = [
  setting('certfile', {
    group: 'TLS and HTTP/2',
    kind: file('the path of a PEM or PKCS#12 file'),
    default: null,
    help: 'Certificate chain for https:// binds, PEM or PKCS#12',
    doc: 'In PEM the leaf comes first, then the intermediate certificates. A changed file is picked up by itself. See [TLS](tls.md); several certificates go into `tls`.',
    known: 'Gunicorn `certfile`, nginx `ssl_certificate`',
    finish: absolute,
  }),
  setting('keyfile', {
    group: 'TLS and HTTP/2',
    kind: file('the path of a PEM file'),
    default: null,
    help: 'Key of certfile, if it is not in the same file',
    doc: 'Only the arbiter reads it: when it is started by root, the file may be for root alone, whoever the edges run as.',
    known: 'Gunicorn `keyfile`, nginx `ssl_certificate_key`',
    finish: absolute,
  }),
  setting('keyfilePassword', {
    group: 'TLS and HTTP/2',
    kind: secret('the passphrase of the key', 'TEXT'),
    default: null,
    help: 'Passphrase of the key, better given by environment',
    doc: 'What is on a command line, every user of the machine can read. Workers do not get it.',
    known: 'nginx `ssl_password_file`',
  }),
  setting('tls', {
    group: 'TLS and HTTP/2',
    kind: tlsTable,
    default: { dev: false, devHosts: [], certificates: [] },
    help: 'dev or dev:NAME,…: a certificate of a local CA, for development',
    doc: "`dev` is for localhost and the machine's name, `dev:shop.test,api.localhost` for these names too: see [TLS](tls.md#https-in-development). In a config file also a table with any number of certificates, from which the name that the client asks for chooses: `{ certificates: [{ cert: 'a.pem', key: 'a.key' }, …] }`. The first (`certfile` is before all of these) is the default.",
    table: certificateFieldsTable(),
    finish: ({ certificates, ...dev }, { chdir }) => ({
      ...dev,
      certificates: certificates.map((files) => ({
        ...files,
        cert: resolve(chdir, files.cert),
        key: files.key === null ? null : resolve(chdir, files.key),
      })),
    }),
  }),
  setting('caCerts', {
    group: 'TLS and HTTP/2',
    kind: file('the path of a PEM file'),
    default: null,
    help: "CA certificates that clients' certificates must come from",
    known: 'Gunicorn `ca_certs`, nginx `ssl_client_certificate`',
    finish: absolute,
  }),
  setting('certReqs', {
    group: 'TLS and HTTP/2',
    kind: orNumber(
      choice(['none', 'optional', 'required'], {
        placeholder: 'WHETHER',
        aliases: { 0: 'none', 1: 'optional', 2: 'required' },
      }),
    ),
    default: 'none',
    help: 'Certificates of clients: none, optional or required',
    known: 'Gunicorn `cert_reqs`, nginx `ssl_verify_client`',
  }),
  setting('ciphers', {
    group: 'TLS and HTTP/2',
    kind: optional(text('a cipher list as OpenSSL writes it', 'LIST'), 'modern'),
    default: null,
    defaultText: 'modern',
    help: 'TLS ciphers, as OpenSSL writes them',
    doc: 'Without it, those that offer forward secrecy and authenticated encryption (the ECDHE suites of Mozilla’s intermediate list). The server’s order counts.',
    known: 'Gunicorn `ciphers`, nginx `ssl_ciphers`',
  }),
  setting('tlsMinVersion', {
    group: 'TLS and HTTP/2',
    kind: orNumber(
      choice(['TLSv1.2', 'TLSv1.3'], {
        placeholder: 'VERSION',
        aliases: {
          'tlsv1.2': 'TLSv1.2',
          'tlsv1.3': 'TLSv1.3',
          'tls1.2': 'TLSv1.2',
          'tls1.3': 'TLSv1.3',
          1.2: 'TLSv1.2',
          1.3: 'TLSv1.3',
        },
      }),
    ),
    default: 'TLSv1.2',
    help: 'Oldest TLS version that is spoken: TLSv1.2 or TLSv1.3',
    doc: 'Older ones are not to be had (RFC 8996).',
    known: 'nginx `ssl_protocols`',
  }),
  setting('tlsUnknownName', {
    group: 'TLS and HTTP/2',
    kind: choice(['default', 'refuse'], { placeholder: 'WHAT' }),
    default: 'default',
    help: 'For a name no certificate has: default (the first one) or refuse',
    doc: '`refuse` ends such handshakes with the alert unrecognized_name (RFC 6066). A client that names no host gets the default either way.',
    known: 'nginx `ssl_reject_handshake`',
  }),
  setting('tlsHandshakeTimeoutMs', {
    key: 'tlsHandshakeTimeout',
    group: 'TLS and HTTP/2',
    kind: duration({ minMs: 1 }),
    default: 10_000,
    help: 'Time for the whole TLS handshake',
  }),
  setting('tlsHandshakesMax', {
    group: 'TLS and HTTP/2',
    kind: integer({ min: 1, max: 100_000 }),
    default: 1024,
    help: 'Most TLS handshakes an edge has under way at a time',
    doc: 'At the limit, one that has taken a quarter of its time makes room for a new one; else the new connection is closed.',
  }),
  setting('ocspStapling', {
    group: 'TLS and HTTP/2',
    kind: boolean,
    default: true,
    help: 'Staple OCSP responses (on unless --no-ocsp-stapling)',
    doc: 'For certificates that name an OCSP responder by http:// and have their issuer in the chain. See [TLS](tls.md#ocsp-stapling).',
    known: 'nginx `ssl_stapling`, `ssl_stapling_verify`',
  }),
  setting('redirectHttps', {
    group: 'TLS and HTTP/2',
    kind: orNumber(choice(['off', '301', '308'], { placeholder: 'STATUS' })),
    default: 'off',
    help: 'Redirect clients that come without TLS: off, 301 or 308',
    doc: '308 keeps the method. ACME challenges and `/-/healthz` are answered without TLS, and so are requests over Unix sockets and those that a trusted proxy had by https.',
    known: 'nginx `return 301 https://…`',
  }),
  setting('redirectHttpsPort', {
    group: 'TLS and HTTP/2',
    kind: optional(integer({ min: 1, max: 65_535 }), 'that of the first https:// bind'),
    default: null,
    help: 'Port in redirects, if clients know another than we do',
    doc: 'Behind a port mapping. Without an https:// bind, where a proxy does TLS, it is 443.',
  }),
  setting('hsts', {
    group: 'TLS and HTTP/2',
    kind: hstsPolicy,
    default: null,
    help: 'Strict-Transport-Security for answers over https',
    doc: 'A time such as `365d`, or `"max-age=31536000; includeSubDomains; preload"`. On every answer to a client that came by https, errors too, unless the app or a static mount sends one of its own. Browsers then refuse http and invalid certificates for that long: begin with a short time.',
    known: 'nginx `add_header Strict-Transport-Security … always`',
  }),
  setting('http2', {
    group: 'TLS and HTTP/2',
    kind: boolean,
    default: true,
    help: 'Offer HTTP/2 to TLS clients (on unless --no-http2)',
    known: 'nginx `http2`',
  }),
  setting('h2c', {
    group: 'TLS and HTTP/2',
    kind: boolean,
    default: false,
    help: 'Speak HTTP/2 without TLS with clients that begin so',
    known: 'nginx `http2` without `ssl`',
  }),
  setting('http2MaxConcurrentStreams', {
    group: 'TLS and HTTP/2',
    kind: integer({ min: 1, max: 1000 }),
    default: 128,
    help: 'Most requests of an HTTP/2 connection at a time',
    known: 'nginx `http2_max_concurrent_streams`',
  }),
];
