// How each system is told to trust a CA: the running one's way first.

import { readFileSync } from 'node:fs';

interface Way {
  readonly title: string;
  readonly lines: readonly string[];
}

type System = 'debian' | 'fedora' | 'arch' | 'suse' | 'macos' | 'windows' | 'other';

const nickname = 'Portico development CA';

export interface CaToTrust {
  readonly caPath: string;
  /** Windows calls certificates by it. */
  readonly sha1: string;
}

/** Commands can be pasted into a shell: the path is quoted where it has to be. */
export function trustHelp({ caPath, sha1 }: CaToTrust, system: System): string {
  const path = quoted(caPath);
  const systems = systemWays(path, { caPath, sha1 });
  const own = systems.filter(({ of }) => of === system);
  const others = systems.filter(({ of }) => of !== system);
  const onLinux = system !== 'macos' && system !== 'windows';
  return [
    ...(own.length === 0 ? [] : ['On this system:', '', ...text(own)]),
    ...(onLinux
      ? ['Browsers on Linux have lists of their own:', '', ...text(browserWays(path))]
      : []),
    'For one program, with nothing installed:',
    '',
    ...text(programWays(path)),
    own.length === 0 ? 'By system:' : 'Elsewhere (copy ca.pem there, never ca.key.pem):',
    '',
    ...text(others),
    ...(onLinux ? [] : text(browserWays(path))),
  ].join('\n');
}

function text(ways: readonly Way[]): string[] {
  return ways.flatMap(({ title, lines }) => [
    `  ${title}`,
    ...lines.map((line) => `    ${line}`),
    '',
  ]);
}

function systemWays(path: string, { caPath, sha1 }: CaToTrust): (Way & { readonly of: System })[] {
  const debian = '/usr/local/share/ca-certificates/portico-dev.crt';
  return [
    {
      of: 'debian',
      title: 'Debian, Ubuntu, Alpine',
      lines: [
        `sudo install -m 644 ${path} ${debian} && sudo update-ca-certificates`,
        `(undo: sudo rm ${debian} && sudo update-ca-certificates --fresh)`,
      ],
    },
    {
      of: 'fedora',
      title: 'Fedora, RHEL',
      lines: [
        `sudo install -m 644 ${path} /etc/pki/ca-trust/source/anchors/portico-dev.pem && sudo update-ca-trust`,
        '(undo: sudo rm /etc/pki/ca-trust/source/anchors/portico-dev.pem && sudo update-ca-trust)',
      ],
    },
    {
      of: 'arch',
      title: 'Arch',
      lines: [`sudo trust anchor --store ${path}`, `(undo: sudo trust anchor --remove ${path})`],
    },
    {
      of: 'suse',
      title: 'openSUSE',
      lines: [
        `sudo install -m 644 ${path} /etc/pki/trust/anchors/portico-dev.pem && sudo update-ca-certificates`,
        '(undo: sudo rm /etc/pki/trust/anchors/portico-dev.pem && sudo update-ca-certificates)',
      ],
    },
    {
      of: 'macos',
      title: 'macOS (Safari, Chrome, curl)',
      lines: [
        `security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ${path}`,
        `(undo: security remove-trusted-cert ${path})`,
      ],
    },
    {
      of: 'windows',
      title: 'Windows (Edge, Chrome)',
      lines: [
        `certutil -addstore -user Root "${caPath}"`,
        `(undo: certutil -delstore -user Root ${sha1.replaceAll(':', '')})`,
      ],
    },
  ];
}

function browserWays(path: string): Way[] {
  const store = (dir: string) => `certutil -d sql:${dir} -A -t C,, -n "${nickname}" -i ${path}`;
  return [
    {
      title: 'Chrome, Chromium (certutil is in libnss3-tools, nss-tools or nss)',
      lines: [
        'mkdir -p "$HOME/.pki/nssdb"',
        store('"$HOME/.pki/nssdb"'),
        `(undo: certutil -d sql:"$HOME/.pki/nssdb" -D -n "${nickname}")`,
      ],
    },
    {
      title: 'Firefox',
      lines: [
        'Settings > Privacy & Security > View Certificates > Authorities > Import,',
        'choose ca.pem and tick "trust this CA to identify websites"; or',
        store('PROFILE_DIRECTORY'),
      ],
    },
  ];
}

function programWays(path: string): Way[] {
  return [
    { title: 'curl', lines: [`curl --cacert ${path} https://localhost:8443/`] },
    { title: 'Node', lines: [`NODE_EXTRA_CA_CERTS=${path} node client.js`] },
    {
      title: 'Python: ssl, then requests (both trust nothing else then)',
      lines: [
        `SSL_CERT_FILE=${path} python3 client.py`,
        `REQUESTS_CA_BUNDLE=${path} python3 client.py`,
      ],
    },
  ];
}

export function runningSystem(platform: NodeJS.Platform): System {
  if (platform === 'darwin') return 'macos';
  if (platform === 'win32') return 'windows';
  try {
    return systemOf(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return 'other';
  }
}

/** By ID and ID_LIKE of os-release(5). */
export function systemOf(release: string): System {
  const field = (name: string) =>
    new RegExp(`^${name}=["']?([^"'\n]*)`, 'm').exec(release)?.[1]?.toLowerCase() ?? '';
  const ids = `${field('ID')} ${field('ID_LIKE')}`.split(/\s+/);
  const has = (...names: string[]) => names.some((name) => ids.includes(name));
  if (has('debian', 'ubuntu', 'alpine')) return 'debian';
  if (has('fedora', 'rhel')) return 'fedora';
  if (has('arch')) return 'arch';
  return has('suse', 'opensuse', 'opensuse-tumbleweed', 'opensuse-leap') ? 'suse' : 'other';
}

/** For a POSIX shell. */
function quoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
