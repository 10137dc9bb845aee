// Runs a part of the executable as a CommonJS module.

import Module from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { insideText } from './inside.ts';

interface CompiledModule extends Module {
  filename: string;
  paths: string[];
  _compile(code: string, file: string): void;
}

/** In bundled code these stand for the directory that it counts as being in; a build can't know it. */
export const baseToken = '@portico-base@';
export const baseUrlToken = '@portico-base-url@';

/** Returns what it exports. `base`: the directory that its files are in, or would be; `file`: its path
 *  below. As the main module, `require.main` is this one. */
export function runPart(
  part: string,
  { base, file, isMain }: { base: string; file: string; isMain: boolean },
): unknown {
  const path = `${base}/${file}`;
  const api = Module as unknown as {
    new (id: string): CompiledModule;
    _nodeModulePaths(from: string): string[];
  };
  const module = new api(isMain ? '.' : path);
  module.filename = path;
  module.paths = api._nodeModulePaths(dirname(path)).filter((dir) => dir.startsWith(`${base}/`));
  if (isMain) Object.assign(process, { mainModule: module });
  module._compile(withBase(insideText(part) ?? '', base), path);
  module.loaded = true;
  return module.exports;
}

/** They stand in string literals, whichever quotes those have. */
export function withBase(code: string, base: string): string {
  const literal = (text: string) =>
    text.replace(/[\\'"`$]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`);
  return code
    .replaceAll(baseUrlToken, () => literal(pathToFileURL(base).href))
    .replaceAll(baseToken, () => literal(base));
}
