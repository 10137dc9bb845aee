// `npm start`: installs and builds what is missing, then serves the example app. Options of
// portico may follow: `npm start -- --workers 4`.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyProgram, ensureProgram, root } from './lib.mjs';

const home = writable(root) || isReady() ? root : ownCopy();
ensureProgram(home);

const extra = process.argv.slice(2);
const bindChosen = extra.some((arg) => /^(-b|--bind)/.test(arg)) || process.env.PORT;
const example = join(home, 'examples', 'welcome');
const args = [
  join(home, 'dist', 'main.js'),
  ...(bindChosen ? [] : ['--bind', `127.0.0.1:${(await isFree(8000)) ? 8000 : 0}`]),
  ...['--static', `/static=${join(example, 'static')}`],
  ...extra,
  join(example, 'app.js'),
];
const child = spawn(process.execPath, args, { stdio: 'inherit' });
// A terminal's Ctrl-C reaches the child by itself; what is sent to this process is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => {
  if (!process.stdin.isTTY) child.kill('SIGINT');
});
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGKILL' ? 137 : 1)));

/** Installed and built already, as when another user did it. */
function isReady() {
  return (
    existsSync(join(root, 'node_modules', '.portico-installed')) &&
    existsSync(join(root, 'dist', '.built'))
  );
}

/** Where the clone is another user's and not built: a copy that belongs to this user. Never at a
 *  name in /tmp that can be foreseen: who made it first would choose what runs. */
function ownCopy() {
  const copy = cacheDirectory() ?? mkdtempSync(join(tmpdir(), 'portico-'));
  console.error(`portico: ${root} can't be written by this user: working in ${copy}`);
  copyProgram(copy);
  return copy;
}

function cacheDirectory() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const name = createHash('sha256').update(root).digest('hex').slice(0, 12);
  const dir = join(base, 'portico', name);
  try {
    mkdirSync(dir, { recursive: true });
    return writable(dir) ? dir : null;
  } catch {
    return null;
  }
}

function writable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
