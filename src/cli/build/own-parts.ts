// Portico itself as parts of an executable: its code in bundles, one for each kind of process and thread, and its own files.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';
import { readOwnFile } from '../../executable/own-file.ts';
import { BuildFault } from './fault.ts';
import type { Bundler } from './tools.ts';

/** Name in the executable, and content. */
export type Parts = Map<string, Buffer>;

/** Programs, as dist/ has them, and the names that src/executable/ knows them by. */
const programs = {
  'portico.js': 'main.js',
  'thread.js': 'worker/thread.js',
  'hang-thread.js': 'worker/hang-thread.js',
  'password-thread.js': 'edge/routes/password-thread.js',
};
const ownFiles = [
  'static/error.html',
  'static/errors.json',
  'static/welcome.html',
  'static/gunicorn_worker.py',
];

/** Of what an ES module has and CommonJS has not, and how a part of its own is loaded. */
const banner = `const __ownUrl = require('node:url').pathToFileURL(__filename).href;
function __ownPart(name) {
  const Module = require('node:module');
  const part = new Module(__filename + '/' + name);
  part.filename = part.id;
  part._compile(require('node:sea').getAsset(name, 'utf8'), part.id);
  return part.exports;
}`;

/** jiti's compiler is 1.5 MB that only TypeScript needs: it stays a part of its own. */
const babelPart: Plugin = {
  name: 'babel-part',
  setup(build) {
    build.onLoad({ filter: /jiti[\\/]lib[\\/]jiti\.mjs$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = source.replace(
        'createRequire(import.meta.url)("../dist/babel.cjs")',
        '__ownPart("babel.js")',
      );
      if (contents === source) throw new BuildFault(`${path} is not the jiti that is known`);
      return { contents, loader: 'js' };
    });
  },
};

/** `target`: platform and processor, as in "linux-x64". */
export async function ownParts(bundler: Bundler, target: string): Promise<Parts> {
  const dist = fileURLToPath(new URL('../../', import.meta.url));
  const { outputFiles } = await bundler.build({
    absWorkingDir: dist,
    entryPoints: Object.entries(programs).map(([name, file]) => ({
      in: join(dist, file),
      out: name.replace(/\.js$/, ''),
    })),
    outdir: 'out',
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    // Names stay: they are in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'eof',
    define: { 'import.meta.url': '__ownUrl' },
    banner: { js: banner },
    plugins: [babelPart],
    // An executable builds no other.
    external: ['./build/build.js'],
    logLevel: 'silent',
  });
  const parts: Parts = new Map();
  for (const { path, contents } of outputFiles)
    parts.set(path.slice(join(dist, 'out/').length), Buffer.from(contents));
  // Compiled when Portico was; without it an executable works as well.
  const native = join(dist, 'native', `${target}.node`);
  if (existsSync(native)) parts.set(`native/${target}.node`, readFileSync(native));
  const jiti = dirname(createRequire(import.meta.url).resolve('jiti/package.json'));
  parts.set('babel.js', readFileSync(join(jiti, 'dist/babel.cjs')));
  for (const name of ownFiles) parts.set(name, ownFile(name));
  // Of package.json what version.ts asks for: the rest would make bytes depend on how it is formatted.
  const { name, version } = JSON.parse(ownFile('package.json').toString());
  parts.set('package.json', Buffer.from(JSON.stringify({ name, version })));
  return parts;
}

function ownFile(name: string): Buffer {
  const text = readOwnFile(name);
  if (text === null) throw new BuildFault(`Portico's own ${name} is missing`);
  return Buffer.from(text);
}
