// `portico build`: an app, its static files and its settings as one executable.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { type BuiltApp, builtAppPart } from '../../config/built-app.ts';
import { isProgram } from '../../config/config.ts';
import { locateModule } from '../../config/module-file.ts';
import { appModule } from '../carried.ts';
import { reportProblems } from '../report.ts';
import { type AppBundle, belowBase, bundleApp, withPlaces } from './app-bundle.ts';
import { assemble, isDarwin } from './assemble.ts';
import { type BaseNode, findBaseNode } from './base-node.ts';
import {
  addPackage,
  addPath,
  type CarriedFiles,
  carriedParts,
  checkAddons,
} from './carried-parts.ts';
import { BuildFault } from './fault.ts';
import { type BuildOptions, parseBuildOptions } from './options.ts';
import { builtText } from './own-executable.ts';
import { ownParts, type Parts } from './own-parts.ts';
import { findPackage, placeAll } from './packages.ts';
import { type BuildSettings, buildSettings, bundleConfig } from './settings.ts';
import { staticParts } from './static-parts.ts';
import { type Bundler, loadBundler } from './tools.ts';

/** Returns the exit code. */
export async function build(argv: readonly string[], cwd: string): Promise<number> {
  try {
    const options = parseBuildOptions(argv);
    const notes = await buildExecutable(options, cwd);
    process.stdout.write(notes);
    return 0;
  } catch (error) {
    if (!(error instanceof BuildFault)) throw error;
    reportProblems([error.message]);
    return 1;
  }
}

async function buildExecutable(options: BuildOptions, cwd: string): Promise<string> {
  const settings = await buildSettings(options.rest, cwd);
  const root = settings.config.chdir;
  const { workerClass, apps } = settings.config;
  if (apps.length > 0)
    throw new BuildFault('portico build takes one app: leave `apps` out, or build one for each');
  if (isProgram(workerClass))
    throw new BuildFault(`portico build takes Node apps, not workers of class ${workerClass}`);
  if (settings.module === null && settings.config.static.length === 0)
    throw new BuildFault('portico build needs an app, such as app.js:app, or --static');
  const bundler = loadBundler(root);
  const base = findBaseNode(options.node, options.target);
  const output = outputOf(options, settings, cwd);
  const made = await makeApp(bundler, { options, settings, root, base });
  const statics = staticParts(settings.config.static);
  const parts: Parts = new Map([
    ...(await ownParts(bundler, base.target)),
    ...made.parts,
    ...statics.parts,
  ]);
  if (settings.code !== null) parts.set('config.js', await bundleConfig(bundler, settings.code));
  const built: BuiltApp = {
    app: made.app,
    settings: settings.kept,
    hasConfigCode: settings.code !== null,
    static: statics.mounts,
    hasCarried: made.carried.length > 0,
  };
  parts.set(builtAppPart, Buffer.from(JSON.stringify(built)));
  assemble(parts, { base, output, projectDir: root });
  return summary({ output, base, built, statics: statics.files, made, settings });
}

interface MadeApp {
  readonly app: BuiltApp['app'];
  readonly parts: Parts;
  /** What is carried along: packages by their places, and files. */
  readonly carried: readonly string[];
  readonly notes: readonly string[];
}

interface Making {
  readonly options: BuildOptions;
  readonly settings: BuildSettings;
  readonly root: string;
  readonly base: BaseNode;
}

async function makeApp(
  bundler: Bundler,
  { options, settings, root, base }: Making,
): Promise<MadeApp> {
  const { module } = settings;
  if (module === null) return { app: null, parts: new Map(), carried: [], notes: [] };
  const located = locateModule(module, root);
  if ('problem' in located) throw new BuildFault(located.problem);
  const entry = located.file;
  const bundle = await bundleApp({
    bundler,
    entry,
    root,
    nodeMajor: base.version.split('.')[0]!,
    external: options.external,
  });
  const files: CarriedFiles = new Map();
  const carried = carry(files, bundle, { options, root, target: base.target });
  const places = carried.places;
  const code = withPlaces(bundle.code, (dir) => places.get(dir) ?? '');
  const isFile = bundle.format === 'esm';
  if (isFile) files.set(appModule, { content: Buffer.from(code), isProgram: false });
  const parts: Parts = files.size > 0 ? carriedParts(files) : new Map();
  if (!isFile) parts.set('app.js', Buffer.from(code));
  return {
    app: {
      module,
      export: settings.config.export,
      file: isFile ? appModule : belowBase(root, entry),
      format: bundle.format,
    },
    parts,
    carried: [...carried.names, ...(isFile ? ['the app, which awaits at its top level'] : [])],
    notes: [
      ...bundle.notes,
      ...(options.include.length > 0 ? [] : bundle.placed).map(
        (file) =>
          `${file} asks for its own place (__dirname or import.meta): files that it reads there come along by --include PATH`,
      ),
    ],
  };
}

/** Fills `files`; says where each package went, and what to tell of it. */
function carry(
  files: CarriedFiles,
  bundle: AppBundle,
  { options, root, target }: { options: BuildOptions; root: string; target: string },
): { places: ReadonlyMap<string, string>; names: readonly string[] } {
  const asked = options.external.map((name) => {
    const found = findPackage(name, root);
    if (found === null) throw new BuildFault(`Cannot carry ${name} along: it is not installed`);
    return found;
  });
  const wanted = new Map([...bundle.carried, ...asked.map((one) => [one.dir, one] as const)]);
  const dirs = placeAll([...wanted.values()]);
  for (const [place, dir] of dirs) {
    addPackage(files, { place, dir, target });
    checkAddons(files, place, target);
  }
  for (const path of [...bundle.addons, ...options.include.map((path) => resolve(root, path))])
    addPath(files, root, path);
  const places = new Map([...dirs].reverse().map(([place, dir]) => [dir, place]));
  const names = [...wanted.values()].map(({ name }) => name).sort();
  return {
    places,
    names: [...names, ...options.include, ...bundle.addons.map((it) => basename(it))],
  };
}

/** -o, or the name of the project, here. */
function outputOf({ output }: BuildOptions, { config, module }: BuildSettings, cwd: string) {
  const named = output ?? nameOf(config.chdir) ?? basename(module ?? 'site', extname(module ?? ''));
  const path = resolve(cwd, named);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new BuildFault(`${path} is a directory: name the executable with -o`);
  return path;
}

function nameOf(dir: string): string | null {
  const manifest = join(dir, 'package.json');
  if (!existsSync(manifest)) return null;
  const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown };
  return typeof name === 'string' && name !== '' ? name.replace(/^.*\//, '') : null;
}

function summary(of: {
  output: string;
  base: BaseNode;
  built: BuiltApp;
  statics: number;
  made: MadeApp;
  settings: BuildSettings;
}): string {
  const lines = [builtText(of.output, of.base)];
  if (of.built.static.length > 0) lines.push(`  static files: ${of.statics}`);
  if (of.made.carried.length > 0)
    lines.push(`  carried along, put on the disk at start: ${of.made.carried.join(', ')}`);
  for (const note of [...of.made.notes, ...of.settings.notes]) lines.push(`  note: ${note}`);
  if (isDarwin(of.base))
    lines.push(`  sign it on a Mac before it runs: codesign --sign - ${basename(of.output)}`);
  return `${lines.join('\n')}\n`;
}
