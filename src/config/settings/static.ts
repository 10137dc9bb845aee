// Settings of static files.

import { resolve } from 'node:path';
import { fieldRowsTable } from '../field-rows.ts';
import { optional, size, text } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';
import { stateDirectory } from '../state-directory.ts';
import { mountFields, staticMounts } from '../static-mounts.ts';

const mega = 1024 ** 2;
const giga = 1024 ** 3;

export const staticSettings: readonly Setting[] = [
  setting('static', {
    group: 'Static files',
    kind: staticMounts,
    default: [],
    help: 'Serve the files of DIR under the prefix; repeatable',
    doc: "In a config file also a map, `{ '/static': 'public' }`, or a list with more to say, `[{ prefix: '/', dir: 'dist', fallback: 'index.html' }]`. The longest prefix that fits is taken.",
    table: fieldRowsTable(mountFields),
    known: 'nginx `location … { alias …; }`',
    finish: (mounts, { chdir }) =>
      mounts.map((mount) => ({ ...mount, dir: resolve(chdir, mount.dir) })),
  }),
  setting('staticCacheBytes', {
    group: 'Static files',
    kind: size({ minBytes: 64 * 1024, maxBytes: 16 * giga, zero: 'none' }),
    default: 64 * mega,
    help: 'Memory of each edge for hot static files; 0: none',
    doc: 'What was asked for twice is kept, larger files in parts; no file takes more than a quarter. See [static files](static-files.md).',
    known: 'nginx `open_file_cache`, which keeps descriptors',
  }),
  setting('staticStore', {
    group: 'Static files',
    kind: optional(text('the path of a directory', 'DIR'), 'chosen'),
    default: null,
    help: 'Where keepBuilds keeps the files of earlier builds',
    doc: 'Without it: `$STATE_DIRECTORY` (systemd), `/var/lib/portico` for root, `$XDG_STATE_HOME/portico` or `~/.local/state/portico`. The edge makes it with mode 0700, as the user it runs as; on the file system of the mount, files are linked and take no space. See [deploys](deploys.md).',
    finish: (value, { chdir }) =>
      value === null ? stateDirectory(process.env, process.getuid?.() ?? 0) : resolve(chdir, value),
  }),
];
