// Runs a config file that is code and takes the settings out of its exports.

import { spawnSync } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isInside } from '../executable/inside.ts';
import { FileFault } from './file-value.ts';

/** The user's object of settings. Throws what the file throws. */
export async function runConfigCode(path: string): Promise<unknown> {
  return settingsOf(await importCode(path));
}

/** The settings that such a file has exported. */
export async function settingsOf(namespace: unknown): Promise<unknown> {
  const exported = exportOf(namespace);
  return typeof exported === 'function' ? exported() : exported;
}

async function importCode(path: string): Promise<unknown> {
  const isTypeScript = /\.[cm]?ts$/.test(path);
  // Only Node 22.18 and up strip types unasked.
  const native = !isTypeScript || ('typescript' in process.features && process.features.typescript);
  if (!native) return importTranspiled(path);
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    if (needsTranspiler(error)) return importTranspiled(path);
    if (error instanceof SyntaxError) throw new FileFault(error.message, syntaxFaultLine(path));
    throw error;
  }
}

/** Enums and the like, which Node does not strip; or 'portico' itself, where it isn't installed in
 *  the project but run by npx or from elsewhere. */
function needsTranspiler(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  if (error.code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return true;
  if (error.code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') return true;
  return error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes("package 'portico'");
}

/** An import() tells what is wrong but not where; `node --check` does, where there is a Node. */
function syntaxFaultLine(path: string): number | null {
  if (isInside) return null;
  const { stderr } = spawnSync(process.execPath, ['--check', path], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  const at = stderr?.indexOf(`${path}:`) ?? -1;
  return at === -1 ? null : Number.parseInt(stderr.slice(at + path.length + 1), 10) || null;
}

async function importTranspiled(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti');
  const own = isInside
    ? { virtualModules: { portico: { defineConfig: (config: unknown) => config } } }
    : { alias: { portico: fileURLToPath(new URL('../index.js', import.meta.url)) } };
  // No cache on disk: it would write into node_modules, or a temporary directory of another user.
  const jiti = createJiti(import.meta.url, { fsCache: false, ...own });
  return jiti.import(path);
}

/** `export default`, `export const config`, or module.exports. */
function exportOf(namespace: unknown): unknown {
  if (!isObject(namespace)) return namespace;
  const value = namespace.default ?? namespace.config;
  // CommonJS: `exports.config = …` comes as the default { config }, which no setting is called.
  if (isObject(value) && isObject(value.config) && Object.keys(value).length === 1)
    return value.config;
  // CommonJS that was made of ESM: module.exports is { __esModule, default }.
  if (isObject(value) && '__esModule' in value) return exportOf({ ...value });
  if (value === undefined) throw new Error('it exports neither default nor config');
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && (typeof value === 'object' || typeof value === 'function');
}
