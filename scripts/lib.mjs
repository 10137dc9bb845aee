// What start, build and test share: install what is missing, compile what is stale.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Runs a program to its end; its failure ends this one with the same code. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    stdio: 'inherit',
    cwd: root,
    ...options,
  });
  if (error) {
    console.error(`portico: cannot run ${command}: ${error.message}`);
    process.exit(1);
  }
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
}

/** Installs the packages of the lock file unless that has been done since it changed. */
export function ensureInstalled(dir = root) {
  const stamp = join(dir, 'node_modules', '.portico-installed');
  const lock = readFileSync(join(dir, 'package-lock.json'), 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  console.error('portico: installing packages …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: dir,
    stdio: ['ignore', 2, 2],
  });
  writeFileSync(stamp, lock);
}

/** Compiles `project` into `outDir` unless nothing it reads is newer than the last time. */
export function ensureBuilt(project, outDir, inputs, dir = root) {
  const stamp = join(dir, outDir, '.built');
  const newest = Math.max(...inputs.map((input) => newestMs(join(dir, input))));
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= newest) return;
  console.error(`portico: building ${outDir} …`);
  run(process.execPath, [join(dir, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], {
    cwd: dir,
    stdio: ['ignore', 2, 2],
  });
  mkdirSync(join(dir, outDir), { recursive: true });
  writeFileSync(stamp, '');
}

/** Names of GCC for another processor than this one, as Debian has them. */
const crossCompilers = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' };

/** Compiles native/ into `outDir`, for the other processor too where its compiler is there. Without a
 *  compiler, and elsewhere than on Linux, all works without, at some more CPU time. */
export function ensureNative(outDir, dir = root) {
  if (process.platform !== 'linux') return;
  const source = join(dir, 'native');
  const files = readdirSync(source).filter((name) => name.endsWith('.c'));
  for (const arch of new Set([process.arch, ...Object.keys(crossCompilers)])) {
    const target = join(dir, outDir, `linux-${arch}.node`);
    if (existsSync(target) && statSync(target).mtimeMs >= newestMs(source)) continue;
    mkdirSync(dirname(target), { recursive: true });
    const isOwn = arch === process.arch;
    const compiler = isOwn ? (process.env.CC ?? 'cc') : crossCompilers[arch];
    // Bound to no C library by name: what is asked of one, glibc and musl both have. What one does not have is to
    // be found missing when it is loaded, and not when it is called.
    const args = [
      '-O2',
      '-Wall',
      '-Wextra',
      '-shared',
      '-fPIC',
      '-fvisibility=hidden',
      '-nostdlib',
      '-s',
      '-Wl,-z,now',
    ];
    const headers = join(dir, 'node_modules', 'node-api-headers', 'include');
    const { status, stderr } = spawnSync(
      compiler,
      [...args, '-I', headers, '-o', target, ...files],
      {
        cwd: source,
        encoding: 'utf8',
      },
    );
    if (status === 0 || !isOwn) continue;
    const why = stderr ? stderr.trim() : `there is no C compiler ${compiler}`;
    console.error(`portico: built without native/, which saves CPU time: ${why}`);
  }
}

function newestMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(
    stat.mtimeMs,
    ...readdirSync(path)
      .filter((name) => name !== 'node_modules')
      .map((name) => newestMs(join(path, name))),
  );
}

export function ensureProgram(dir = root) {
  ensureInstalled(dir);
  ensureBuilt('.', 'dist', ['src', 'tsconfig.json', 'package.json'], dir);
  ensureNative('dist/native', dir);
}

/** Copies what `npm start` needs to a directory that this user may write. */
export function copyProgram(to) {
  mkdirSync(to, { recursive: true });
  for (const name of [
    'package.json',
    'package-lock.json',
    '.npmrc',
    'tsconfig.json',
    'src',
    'native',
    'static',
    'examples',
    'scripts',
  ]) {
    if (existsSync(join(root, name)))
      cpSync(join(root, name), join(to, name), {
        recursive: true,
        filter: (path) => !path.includes('node_modules'),
      });
  }
}
