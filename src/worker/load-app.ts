// Loads the user's module as `node MODULE` would: CommonJS, ES modules and TypeScript.

import { existsSync, readFileSync } from 'node:fs';
import Module from 'node:module';
import { dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createJiti } from 'jiti';
import { BootError, describeError } from './boot-error.ts';
import { locateSyntaxError } from './syntax-location.ts';

/** A module that was loaded: an ES module's namespace, or what a CommonJS module exports. */
export interface LoadedModule {
  readonly file: string;
  readonly exports: unknown;
}

export interface LoadOptions {
  readonly file: string;
  /** Where compiled TypeScript may be kept. Not jiti's default, which may be the shared /tmp. */
  readonly cacheDir: string;
}

/** Runs the module; throws a BootError with the app's own error in it. */
export async function loadModule(options: LoadOptions): Promise<LoadedModule> {
  const { file } = options;
  try {
    return { file, exports: await run(options) };
  } catch (error) {
    throw new BootError(4, `Cannot load ${file}\n${describeError(error)}${where(error, file)}`);
  }
}

async function run({ file, cacheDir }: LoadOptions): Promise<unknown> {
  if (/\.[mc]?ts$/.test(file)) return runTypeScript(file, cacheDir);
  if (isCommonJs(file)) {
    try {
      return requireAsMain(file);
    } catch (error) {
      // ES module syntax that isCommonJs() didn't see, with top-level await. Nothing ran yet.
      if (codeOf(error) !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    }
  }
  return import(pathToFileURL(file).href);
}

/** As the main module, as `node FILE` does: require.main.filename and `require.main === module`
 *  hold, and a listen() behind the latter is caught like any other. */
function requireAsMain(file: string): unknown {
  const loader = Module as unknown as {
    _load(request: string, parent: null, isMain: boolean): unknown;
  };
  return loader._load(file, null, true);
}

function isCommonJs(file: string): boolean {
  const extension = extname(file);
  if (extension === '.cjs') return true;
  if (extension === '.mjs') return false;
  const type = packageType(dirname(file));
  if (type !== null) return type === 'commonjs';
  // As Node does where package.json has no "type": by the syntax.
  const esm =
    /^\s*(import\s*[\w{*'"]|export\s+(default|const|let|var|function|class|async)\b|export\s*[{*])/m;
  return !esm.test(readFileSync(file, 'utf8'));
}

function packageType(dir: string): string | null {
  const manifest = join(dir, 'package.json');
  if (existsSync(manifest)) {
    const { type } = JSON.parse(readFileSync(manifest, 'utf8')) as { type?: unknown };
    return typeof type === 'string' ? type : null;
  }
  return dirname(dir) === dir ? null : packageType(dirname(dir));
}

/** Errors of Node's own TypeScript support that come before any code has run, and that jiti can
 *  do better: enums, decorators, and imports written without the ending ".ts". */
const notNative = new Set([
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNSUPPORTED_DIR_IMPORT',
]);

async function runTypeScript(file: string, cacheDir: string): Promise<unknown> {
  const features = process.features as { typescript?: string | false };
  if (features.typescript && !file.includes('/node_modules/')) {
    try {
      return await import(pathToFileURL(file).href);
    } catch (error) {
      if (!notNative.has(codeOf(error) ?? '')) throw error;
    }
  }
  const jiti = createJiti(file, { fsCache: cacheDir, interopDefault: false, tsconfigPaths: true });
  return jiti.import(file);
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | null)?.code;
}

/** File and line of a syntax error, where the error's text lacks them. */
function where(error: unknown, file: string): string {
  if (!(error instanceof SyntaxError) || /^(file:|\/).*:\d+$/m.test(error.stack ?? '')) return '';
  const place = locateSyntaxError(file);
  return place === null ? '' : `\n    at ${place}`;
}
