// Bundles an app into one file, and finds what of it cannot be bundled.

import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, extname, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { BuildFailure, Loader, Plugin } from 'esbuild';
import { baseToken, baseUrlToken } from '../../executable/run-part.ts';
import { BuildFault } from './fault.ts';
import { harmless, isModule, isNative, mayLack, type Package, packageOf } from './packages.ts';
import type { Bundler } from './tools.ts';

export interface AppBundle {
  readonly code: string;
  readonly format: 'cjs' | 'esm';
  /** By real path. */
  readonly carried: ReadonlyMap<string, Package>;
  /** Files of machine code of the app's own. */
  readonly addons: readonly string[];
  /** Files of the app's own that ask where they are. */
  readonly placed: readonly string[];
  /** For whoever builds. */
  readonly notes: readonly string[];
}

export interface BundleOptions {
  readonly bundler: Bundler;
  readonly entry: string;
  /** The project: paths are relative to it. */
  readonly root: string;
  readonly nodeMajor: string;
  /** Names of packages that are not to be bundled. */
  readonly external: readonly string[];
}

/** In the bundle, for the place of a carried package, which is known when all are. */
const carriedToken = /@portico-carried@([^@]*)@/g;

/** Each round finds packages whose code looks for files beside itself; bundled, it would look in vain.
 *  So they are carried along, and the next round does not see their code. */
export async function bundleApp(options: BundleOptions): Promise<AppBundle> {
  const carried = new Map<string, Package>();
  for (;;) {
    const findings = newFindings(carried);
    const { code, format } = await bundleOnce(options, findings);
    if (findings.mustCarry.size === 0) {
      const addons = [...findings.addons].sort();
      return {
        code,
        format,
        carried,
        addons,
        placed: [...findings.placed].sort(),
        notes: notesOf(findings, options.entry),
      };
    }
    for (const [dir, found] of findings.mustCarry) carried.set(dir, found);
  }
}

/** Puts the places of carried packages into the code. */
export function withPlaces(code: string, placeOf: (dir: string) => string): string {
  return code.replace(
    carriedToken,
    (_, dir: string) => `${baseToken}/${placeOf(decodeURIComponent(dir))}`,
  );
}

interface Findings {
  readonly carried: ReadonlyMap<string, Package>;
  readonly mustCarry: Map<string, Package>;
  readonly addons: Set<string>;
  /** Files of the app's own that ask where they are. */
  readonly placed: Set<string>;
  /** Carried ES modules, as they are called in the bundle. */
  readonly modules: Set<string>;
  /** Packages that others ask for and do not call optional. */
  readonly missing: Set<string>;
}

function newFindings(carried: ReadonlyMap<string, Package>): Findings {
  return {
    carried,
    mustCarry: new Map(),
    addons: new Set(),
    placed: new Set(),
    modules: new Set(),
    missing: new Set(),
  };
}

function notesOf({ missing }: Findings, entry: string): string[] {
  const notes: string[] = [];
  if (missing.size > 0)
    notes.push(`not installed, so what asks for them will fail: ${[...missing].sort().join(', ')}`);
  // Its file may have comments, so it is not read as JSON.
  if (/"emitDecoratorMetadata"\s*:\s*true/.test(nearestTsconfig(entry)))
    notes.push(
      'tsconfig.json has emitDecoratorMetadata, which esbuild has not: where types say what is injected (NestJS), compile with tsc and build from what it writes',
    );
  return notes;
}

async function bundleOnce(options: BundleOptions, findings: Findings) {
  try {
    return { code: await bundleAs('cjs', options, findings), format: 'cjs' as const };
  } catch (error) {
    if (!isAboutAwait(error)) throw faultOf(error);
  }
  try {
    return { code: await bundleAs('esm', options, findings), format: 'esm' as const };
  } catch (error) {
    throw faultOf(error);
  }
}

function isAboutAwait(error: unknown): boolean {
  const { errors } = error as Partial<BuildFailure>;
  return errors?.every(({ text }) => /top-level await/i.test(text)) ?? false;
}

function faultOf(error: unknown): Error {
  const { errors, message } = error as Partial<BuildFailure> & Error;
  if (errors === undefined) {
    // Installed without its optional packages, or for another system.
    if (/esbuild/.test(message)) return new BuildFault(`Cannot run esbuild: ${message}`);
    return error as Error;
  }
  const own = errors.find(({ detail }) => detail instanceof BuildFault);
  if (own !== undefined) return own.detail;
  const lines = errors.map(({ text, location }) => {
    const at =
      location === null ? '' : `${location.file}:${location.line}:${location.column + 1}: `;
    return at + text;
  });
  return new BuildFault(`Cannot bundle the app:\n  ${lines.slice(0, 10).join('\n  ')}`);
}

async function bundleAs(
  format: 'cjs' | 'esm',
  { bundler, entry, root, nodeMajor, external }: BundleOptions,
  findings: Findings,
): Promise<string> {
  const { outputFiles } = await bundler.build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: 'app.js',
    write: false,
    bundle: true,
    platform: 'node',
    target: `node${nodeMajor}`,
    format,
    // Frameworks find things by the names of classes.
    keepNames: true,
    legalComments: 'eof',
    charset: 'utf8',
    logLevel: 'silent',
    // CommonJS that is bundled calls require() of what is built in.
    ...(format === 'esm' ? { banner: { js: requireForEsm } } : {}),
    plugins: [leaveOut(external, findings), giveNames({ bundler, entry, root }, findings)],
  });
  return withDefaults(outputFiles[0]!.text, findings);
}

/** `import x from` a module that is required now: esbuild takes what require() gives for the default, as it is with
 *  CommonJS, where an ES module has one by that name. */
function withDefaults(code: string, { modules }: Findings): string {
  return code.replace(/__toESM\(require\("([^"]+)"\), 1\)/g, (whole, path: string) =>
    modules.has(path) ? `__toESM(require("${path}"))` : whole,
  );
}

const requireForEsm =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/** Packages that are carried along stay out, and so does machine code. */
function leaveOut(external: readonly string[], findings: Findings): Plugin {
  const { carried, mustCarry, addons, modules, missing } = findings;
  return {
    name: 'leave-out',
    setup(build) {
      build.onResolve({ filter: /^[^./]|\.node$/ }, async (args) => {
        if (args.pluginData === resolving || args.kind === 'entry-point' || isBuiltin(args.path))
          return undefined;
        const { kind, importer, resolveDir } = args;
        const found = await build.resolve(args.path, {
          kind,
          importer,
          resolveDir,
          pluginData: resolving,
        });
        const asking = packageOf(importer);
        if (found.errors.length > 0 && kind !== 'import-statement' && asking !== null) {
          // Node tells of it when it is asked for, and packages that look what is installed go by that.
          if (!mayLack(asking, args.path)) missing.add(`${args.path} (by ${asking.name})`);
          return { path: args.path, external: true };
        }
        if (found.errors.length > 0 || found.external || found.namespace !== 'file')
          return undefined;
        const of = packageOf(found.path);
        if (of === null) {
          if (!found.path.endsWith('.node')) return undefined;
          addons.add(found.path);
          return { path: placed(build.initialOptions.absWorkingDir!, found.path), external: true };
        }
        if (of.name === 'next')
          throw new BuildFault(
            'Next.js cannot be put into an executable: it loads its build (.next) from the disk, file by file. Run it by `portico` beside its standalone output',
          );
        if (external.includes(of.name) || isNative(of)) {
          if (!carried.has(of.dir)) mustCarry.set(of.dir, of);
        } else if (!carried.has(of.dir)) return undefined;
        const below = relative(of.dir, found.path).split(sep).join('/');
        const path = `@portico-carried@${encodeURIComponent(of.dir)}@/${below}`;
        if (isModule(found.path)) modules.add(path);
        return { path, external: true };
      });
    },
  };
}

const resolving = { isResolving: true };

/** A path of the project, below the base of the executable. */
export function placed(root: string, file: string): string {
  return `${baseToken}/${belowBase(root, file)}`;
}

/** What is beside the project goes beside nothing else. */
export function belowBase(root: string, file: string): string {
  return relative(root, file).split(sep).join('/').replaceAll('../', '_above/');
}

const asksForPlace = /\b(__dirname|__filename|require\s*\.\s*main|import\s*\.\s*meta)\b/;

/** In a bundle a file no longer knows where it is: it is told. */
function giveNames(
  { bundler, entry, root }: Pick<BundleOptions, 'bundler' | 'entry' | 'root'>,
  { mustCarry, placed: placedFiles }: Findings,
): Plugin {
  return {
    name: 'give-names',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path, namespace }) => {
        if (namespace !== 'file') return undefined;
        const source = readFileSync(path, 'utf8');
        if (!asksForPlace.test(source)) return undefined;
        const isEntry = path === entry;
        const { code } = await bundler.transform(source, {
          loader: loaderOf(path),
          sourcefile: path,
          define: definesOf(root, path, isEntry),
          tsconfigRaw: nearestTsconfig(path),
          // No comment is one that a legal one was.
          legalComments: 'inline',
        });
        if (code.includes(baseToken) || code.includes(baseUrlToken)) {
          const of = packageOf(path);
          if (of === null) placedFiles.add(relative(root, path));
          else if (!harmless.has(of.name)) mustCarry.set(of.dir, of);
        }
        return { contents: code, loader: 'js', resolveDir: dirname(path) };
      });
    },
  };
}

function definesOf(root: string, path: string, isEntry: boolean): Record<string, string> {
  const file = placed(root, path);
  const directory = file.slice(0, file.lastIndexOf('/'));
  const url = baseUrlToken + pathToFileURL(`/${belowBase(root, path)}`).pathname;
  return {
    __dirname: JSON.stringify(directory),
    __filename: JSON.stringify(file),
    'import.meta.dirname': JSON.stringify(directory),
    'import.meta.filename': JSON.stringify(file),
    'import.meta.url': JSON.stringify(url),
    'import.meta.main': String(isEntry),
    // Of all that are in the bundle only this one was started.
    ...(isEntry ? { 'require.main': 'module' } : {}),
  };
}

function loaderOf(path: string): Loader {
  const ending = extname(path).replace(/^\.[cm]/, '.');
  return ending === '.js' ? 'jsx' : (ending.slice(1) as Loader);
}

/** Without what it extends. */
function nearestTsconfig(path: string): string {
  if (!/\.[cm]?tsx?$/.test(path)) return '{}';
  for (let dir = dirname(path); ; dir = dirname(dir)) {
    try {
      return readFileSync(join(dir, 'tsconfig.json'), 'utf8');
    } catch {
      if (dirname(dir) === dir) return '{}';
    }
  }
}
