// Settings of ACME: certificates that Portico gets and renews itself.

import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { domainToASCII } from 'node:url';
import { boolean, choice, type Kind, list, optional, text, Unfit } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';
import { stateDirectory } from '../state-directory.ts';

/** A host name as certificates have it: lower case, punycode. It becomes the name of a file. */
const certificateHost: Kind<string> = {
  expected: 'a host name such as example.com',
  placeholder: 'HOST',
  inputType: 'string',
  flag: 'value',
  read(raw) {
    if (typeof raw !== 'string') return new Unfit();
    const given = raw.trim().replace(/\.$/, '');
    if (given.startsWith('*.'))
      return new Unfit('a wildcard takes a challenge in DNS, which is not possible here');
    if (isIP(given.replace(/^\[|\]$/g, '')) !== 0) return new Unfit('not an address');
    const named = /^(?:https?:\/\/)?([^/:]+)(?::\d+)?\/?$/.exec(given);
    if (named !== null && named[1] !== given) return new Unfit(`did you mean "${named[1]}"?`);
    const host = domainToASCII(given);
    const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
    const fits = host.length <= 253 && new RegExp(`^${label}(?:\\.${label})*$`).test(host);
    return fits && isIP(host) === 0 ? host : new Unfit();
  },
  show: (value) => value,
};

const hosts = list(certificateHost, { repeat: true, min: 0 });

const directoryUrl: Kind<string> = {
  ...text('the https:// URL of an ACME directory', 'URL'),
  read(raw) {
    if (typeof raw !== 'string' || !URL.canParse(raw)) return new Unfit();
    const { protocol, username, href } = new URL(raw);
    return protocol === 'https:' && username === '' ? href : new Unfit();
  },
};

/** Base64url, as CAs show it; some put it in base64. */
const hmacKey: Kind<string> = {
  ...text('the key in base64url, as the CA shows it', 'KEY'),
  read(raw) {
    if (typeof raw !== 'string') return new Unfit();
    const key = raw.trim().replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
    return /^[A-Za-z0-9_-]{16,}$/.test(key) ? key : new Unfit();
  },
  show: () => '(hidden)',
};

export const acmeSettings: readonly Setting[] = [
  setting('acme', {
    group: 'ACME',
    kind: { ...hosts, read: (raw) => distinct(hosts.read(separated(raw))) },
    default: [],
    help: 'Get and renew a certificate for HOST; repeatable',
    doc: 'From Let’s Encrypt, unless `acmeDirectory` names another CA, whose terms of service you agree to by setting this. One certificate for each name. Without `bind`, Portico then listens on `0.0.0.0:80` and `https://0.0.0.0:443`. See [ACME](acme.md).',
    known: 'Caddy, certbot `--domain`',
  }),
  setting('acmeEmail', {
    group: 'ACME',
    kind: optional(
      {
        ...text('an e-mail address', 'ADDRESS'),
        read: (raw) =>
          typeof raw === 'string' && /^[^\s@,?]+@[^\s@,?]+$/.test(raw.trim())
            ? raw.trim()
            : new Unfit(),
      },
      'none',
    ),
    default: null,
    help: 'Where the CA may write to',
    known: 'certbot `--email`',
  }),
  setting('acmeDirectory', {
    group: 'ACME',
    kind: optional(directoryUrl, 'Let’s Encrypt'),
    default: null,
    defaultText: 'Let’s Encrypt',
    help: 'URL of the directory of another CA',
    known: 'certbot `--server`',
  }),
  setting('acmeStaging', {
    group: 'ACME',
    kind: boolean,
    default: false,
    help: 'Use Let’s Encrypt’s staging service, to try things out',
    doc: 'Its limits are high and nobody trusts its certificates. They are kept apart from real ones.',
    known: 'certbot `--staging`',
  }),
  setting('acmeStorage', {
    group: 'ACME',
    kind: optional(text('the path of a directory', 'DIR'), 'chosen'),
    default: null,
    defaultText: 'chosen',
    help: 'Directory of the account, keys and certificates',
    doc: 'Machines that serve the same names share it (NFS will do): one gets the certificate, all serve it. Without it: `acme` in `$STATE_DIRECTORY` (systemd), in `/var/lib/portico` for root, in `$XDG_STATE_HOME/portico` or in `~/.local/state/portico`. Made with mode 0700 for the user that edges run as.',
    finish: (value, { chdir }) =>
      value === null
        ? join(stateDirectory(process.env, process.getuid?.() ?? 0), 'acme')
        : resolve(chdir, value),
  }),
  setting('acmeChallenges', {
    group: 'ACME',
    kind: list(choice(['http-01', 'tls-alpn-01'], { placeholder: 'KINDS' }), {
      repeat: false,
      min: 1,
    }),
    default: ['http-01', 'tls-alpn-01'],
    help: 'How to prove that a name is yours',
    doc: 'For `http-01` the CA must reach a plain bind by port 80 of the name, for `tls-alpn-01` an `https://` bind by port 443. When one fails the other is tried.',
  }),
  setting('acmeProfile', {
    group: 'ACME',
    kind: optional(
      {
        ...text('the name of a profile', 'NAME'),
        read: (raw) => (typeof raw === 'string' && /^[\w.-]{1,64}$/.test(raw) ? raw : new Unfit()),
      },
      'none',
    ),
    default: null,
    help: 'Kind of certificate, where the CA has several',
    doc: 'Let’s Encrypt has `classic`, `tlsserver` and `shortlived`.',
    known: 'certbot `--preferred-profile`',
  }),
  setting('acmeEabKid', {
    group: 'ACME',
    kind: optional(text('the key identifier that the CA shows', 'ID'), 'none'),
    default: null,
    help: 'Key identifier of your account at the CA, if it wants one',
    doc: 'External account binding (RFC 8555 section 7.3.4): ZeroSSL, Google Trust Services, Sectigo and others show both in your account there.',
    known: 'certbot `--eab-kid`',
  }),
  setting('acmeEabHmacKey', {
    group: 'ACME',
    kind: optional(hmacKey, 'none'),
    default: null,
    help: 'HMAC key to acmeEabKid, better given by environment',
    doc: 'Only used to open the account, once.',
    known: 'certbot `--eab-hmac-key`',
  }),
  setting('acmeCaFile', {
    group: 'ACME',
    kind: optional(text('the path of a PEM file', 'FILE'), 'none'),
    default: null,
    help: 'Root certificates to trust the CA’s server by',
    doc: 'Beside the usual ones, for a CA of your own such as step-ca, or for Pebble.',
    known: 'Node `NODE_EXTRA_CA_CERTS`',
    finish: (value, { chdir }) => (value === null ? null : resolve(chdir, value)),
  }),
];

/** Of a repeated flag each may be a list. */
function separated(raw: unknown): unknown {
  return Array.isArray(raw)
    ? raw.flatMap((part) => (typeof part === 'string' ? part.split(',') : [part]))
    : raw;
}

function distinct(values: string[] | Unfit): string[] | Unfit {
  return values instanceof Unfit ? values : [...new Set(values)];
}
