// The pages are right: what is generated is current, each fenced block is of a known kind, and what shows settings or a
// command line is read by the code that reads a user's. test/deploy/docs.test.ts runs the commands.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { transformSync } from 'esbuild';
import { parseInvocation } from '../../src/cli/invocation.ts';
import { parseFlags } from '../../src/config/flags.ts';
import { loadConfig } from '../../src/config/load.ts';
import { settings, settingsByKey } from '../../src/config/settings.ts';
import { makePair } from '../helpers/certificates.ts';
import { commandOf, environmentOf, readDockerfile } from '../helpers/dockerfile.ts';
import { argumentsOf, type Block, blocksOf, kinds, pages, textOf } from '../helpers/docs.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot } from '../helpers/portico.ts';

test('docs/configuration.md, docs/errors.md and the type of a config file are what the tables say', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/docs.mjs', '--check'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});

const all = pages().flatMap(blocksOf);
const blocksOfKind = (kind: string) => all.filter((block) => block.kind === kind && !block.file);
/** Decisions tell of what there is not, too. */
const current = pages().filter((page) => page !== 'docs/decisions.md');
const proseOf = (page: string) => textOf(page).replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
const placeOf = ({ page, line }: Block) => `${page}:${line}`;

test('each block says what it is, and none of text hides a command', () => {
  const unknown = all.filter(({ kind, file }) => !file && !Object.hasOwn(kinds, kind));
  assert.deepEqual(unknown.map(placeOf), []);
  const command = /^(\$ |(npx )?portico |\.\/|(npm|curl|docker|kubectl|systemctl) )/m;
  assert.deepEqual(
    blocksOfKind('text')
      .filter(({ text }) => command.test(text))
      .map(placeOf),
    [],
  );
});

suite('settings that pages show are taken', () => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-settings-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(repositoryRoot, join(dir, 'node_modules/portico'));
  let count = 0;

  /** What is wrong with a config file. */
  async function problemsOf(text: string, ending: string): Promise<readonly string[]> {
    count += 1;
    const name = `portico-${count}.config.${ending}`;
    writeFileSync(join(dir, name), text);
    const flags = parseFlags(['--config', name], { settings, actions: [] });
    const loaded = await loadConfig({ flags, app: null, env: {}, cwd: dir }, { onTerminal: false });
    return loaded.ok ? [] : loaded.problems;
  }

  /** A whole file, settings of one, or routes. */
  function wholeOf(text: string): string {
    if (/^export default /m.test(text)) return text;
    const part = /^\s*\{/.test(text) ? `routes: [${text}]` : text;
    const app = /^(app|apps|command|.*, command):/.test(part) ? '' : "app: 'a',";
    const pair = "certfile: 'wildcard.pem', keyfile: 'wildcard.key',";
    return `export default { ${app} ${/^bind:.*https/.test(part) ? pair : ''} ${part} }`;
  }

  test('blocks of them', async () => {
    await putFiles(dir);
    for (const block of [...blocksOfKind('ts'), ...blocksOfKind('yaml')]) {
      const text = block.kind === 'ts' ? wholeOf(block.text) : block.text;
      assert.deepEqual(await problemsOf(text, block.kind), [], placeOf(block));
    }
  });

  test('`key: value` within a line', async () => {
    for (const page of current)
      for (const [, span = '', key = ''] of proseOf(page).matchAll(/`(([a-zA-Z]+): [^`]+)`/g))
        if (settingsByKey.has(key) && !/…/.test(span)) {
          const problems = await problemsOf(wholeOf(span), 'mjs');
          // Some are of an upstream, under the same name.
          const target = wholeOf(`routes: [{ to: { targets: ['http://a'], ${span} } }]`);
          if (problems.length > 0 && (await problemsOf(target, 'mjs')).length > 0)
            assert.deepEqual(problems, [], `${page}: ${span}`);
        }
  });
});

/** What the settings of the pages name. */
async function putFiles(dir: string): Promise<void> {
  const { certPem, keyPem } = await makePair(['example.com', '*.example.net']);
  const pair = ['example.com', 'example.com/rsa'].flatMap((place) => [
    [`${place}/fullchain.pem`, certPem],
    [`${place}/privkey.pem`, keyPem],
  ]);
  const files: Record<string, string> = {
    ...Object.fromEntries(pair),
    'wildcard.pem': certPem,
    'wildcard.key': keyPem,
    'other.p12': certPem + keyPem,
    '.htpasswd': 'alice:$2y$05$abcdefghijklmnopqrstuuW1yoQTxUmAg6vGmOiCxr3kYbP6Mu0IW\n',
    'errors/404.html': '',
    'errors/sorry.html': '',
  };
  for (const place of ['public', 'dist', 'media', 'uploads', 'static', 'api', '.next/static'])
    mkdirSync(join(dir, place), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
}

test('`portico …` and `--flag value` within a line are taken by the command line', () => {
  for (const page of current)
    for (const [, span = ''] of proseOf(page).matchAll(
      /`((?:[A-Z_]+=\S+ )*(?:npx )?portico [^`]+)`/g,
    )) {
      const args = argumentsOf(span);
      // These two read their arguments in a way of their own; [X] stands for something.
      if (args === null || /^(build|routes|\[.*)$/.test(args[0] ?? '')) continue;
      const { problems } = parseInvocation(args).flags;
      assert.deepEqual(problems, [], `${page}: ${span}`);
    }
});

test('code of apps compiles', () => {
  for (const block of all.filter(({ kind }) => kind === 'js'))
    assert.doesNotThrow(() => transformSync(block.text, { format: 'esm' }), placeOf(block));
});

test('images call Portico as it is', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-images-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const block of blocksOfKind('dockerfile')) {
    const path = join(dir, 'Dockerfile');
    writeFileSync(path, /^FROM/m.test(block.text) ? block.text : `FROM a:1\n${block.text}`);
    const image = readDockerfile(path).at(-1)!;
    for (const op of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK']) {
      const words = commandOf(image, op);
      const args = words.slice(words.indexOf('portico') + 1);
      assert.deepEqual(parseInvocation(args).flags.problems, [], placeOf(block));
    }
    const names = Object.keys(environmentOf(image)).filter((name) => /^PORTICO_/.test(name));
    const known = settings.map(({ env }) => env);
    assert.deepEqual(
      names.filter((name) => !known.includes(name as never)),
      [],
      placeOf(block),
    );
  }
});

test('HAProxy reads its file', needs('haproxy'), (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-haproxy-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const block of blocksOfKind('haproxy')) {
    const path = join(dir, 'haproxy.cfg');
    // Times are what it warns about, of files that have none.
    writeFileSync(path, block.text);
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const { status, stderr } = spawnSync('haproxy', ['-c', '-q', '-f', path], {
      env,
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${placeOf(block)}: ${stderr}`);
  }
});
