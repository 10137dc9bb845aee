// Packages of node_modules: which one a file is of, whether it can be bundled, and where it goes when it is carried along.

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

export interface Package {
  readonly name: string;
  /** Real path. */
  readonly dir: string;
}

/** The package that a file is of; null for a file of the app's own. */
export function packageOf(file: string): Package | null {
  const marker = `${sep}node_modules${sep}`;
  const at = file.lastIndexOf(marker);
  if (at === -1) return null;
  const words = file.slice(at + marker.length).split(sep);
  // "@scope/name"; and ".prisma/client", which a tool generates.
  const count = /^[@.]/.test(words[0]!) ? 2 : 1;
  const name = words.slice(0, count).join('/');
  return { name, dir: file.slice(0, at + marker.length) + words.slice(0, count).join(sep) };
}

/** Whether Node takes a file of a package for an ES module. */
export function isModule(file: string): boolean {
  if (!/\.js$/.test(file)) return /\.mjs$/.test(file);
  for (
    let dir = dirname(file);
    dirname(dir) !== dir && !/node_modules$/.test(dir);
    dir = dirname(dir)
  )
    if (existsSync(join(dir, 'package.json'))) return manifestOf(dir).type === 'module';
  return false;
}

/** Whether a package says of another one that it can do without. */
export function mayLack({ dir }: Package, specifier: string): boolean {
  const { peerDependenciesMeta = {}, optionalDependencies = {} } = manifestOf(dir);
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return peerDependenciesMeta[name]?.optional === true || name in optionalDependencies;
}

interface Manifest {
  readonly type?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly gypfile?: boolean;
  readonly napi?: unknown;
  readonly binary?: unknown;
}

function manifestOf(dir: string): Manifest {
  try {
    return JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  } catch {
    // A directory without one is a package none the less.
    return {};
  }
}

const nativeLoaders = [
  'bindings',
  'node-gyp-build',
  'node-gyp-build-optional-packages',
  'prebuild-install',
  '@mapbox/node-pre-gyp',
  'node-pre-gyp',
  'node-addon-api',
];

/** Whether it has machine code in it or beside it: its own code then looks for a file on the disk. */
export function isNative({ dir }: Package): boolean {
  const manifest = manifestOf(dir);
  const { dependencies = {}, optionalDependencies = {} } = manifest;
  return (
    manifest.gypfile === true ||
    manifest.napi !== undefined ||
    manifest.binary !== undefined ||
    nativeLoaders.some((name) => name in dependencies) ||
    Object.keys(optionalDependencies).some((name) =>
      /(linux|darwin|win32)-(x64|arm64)/.test(name),
    ) ||
    ['binding.gyp', 'prebuilds'].some((name) => existsSync(join(dir, name)))
  );
}

/** Packages that know where their files are for the sake of things that a bundle does not need: what
 *  starts threads for log transports. With --external they are carried along like any other. */
export const harmless: ReadonlySet<string> = new Set(['pino', 'thread-stream']);

/** Where each package goes, below node_modules of the base: as npm lays them out, at the top unless
 *  another version is there. */
export function placeAll(wanted: readonly Package[]): ReadonlyMap<string, string> {
  // In order, so that the same input gives the same bytes.
  const sorted = [...wanted].sort((a, b) => (a.name + a.dir < b.name + b.dir ? -1 : 1));
  const taken = new Map<string, string>();
  /** By real path: the place it was first put to. */
  const places = new Map<string, string>();
  const queue: { of: Package; above: string | null }[] = sorted.map((of) => ({ of, above: null }));
  for (const { of, above } of queue) {
    if (isVisible(of, above, taken)) continue;
    const place = placeFor(of, above, taken);
    taken.set(place, of.dir);
    if (!places.has(of.dir)) places.set(of.dir, place);
    for (const dependency of dependenciesOf(of)) queue.push({ of: dependency, above: place });
  }
  return new Map([...taken].map(([place, dir]) => [place, dir]));
}

/** Whether `require(name)` from `above` finds just this one. */
function isVisible(of: Package, above: string | null, taken: ReadonlyMap<string, string>): boolean {
  for (let at = above; ; at = parentOf(at)) {
    const found = taken.get(join(at ?? '', 'node_modules', of.name));
    if (found !== undefined) return found === of.dir;
    if (at === null) return false;
  }
}

function placeFor(of: Package, above: string | null, taken: ReadonlyMap<string, string>): string {
  const top = join('node_modules', of.name);
  return taken.has(top) && above !== null ? join(above, 'node_modules', of.name) : top;
}

function parentOf(place: string | null): string | null {
  const at = place?.lastIndexOf(`node_modules${sep}`) ?? 0;
  return place === null || at === 0 ? null : place.slice(0, at - 1);
}

function dependenciesOf(of: Package): Package[] {
  const { dependencies, optionalDependencies, peerDependencies } = manifestOf(of.dir);
  const names = new Set(
    Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }),
  );
  if (of.name === '@prisma/client') names.add('.prisma/client');
  return [...names]
    .filter((name) => !name.startsWith('@types/'))
    .sort()
    .map((name) => findPackage(name, of.dir))
    .filter((found) => found !== null);
}

/** As require() looks for it, from `from` upwards. */
export function findPackage(name: string, from: string): Package | null {
  for (let dir = from; ; dir = dirname(dir)) {
    const candidate = join(dir, 'node_modules', name);
    if (existsSync(candidate)) return { name, dir: realpathSync(candidate) };
    if (dirname(dir) === dir) return null;
  }
}
