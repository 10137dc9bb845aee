// The pages do what they say: a page's files are written and its commands run, in their order, with the real Portico in a
// network of its own, so that its ports are free. What no machine of ours has is in test/fixtures/docs/prelude.sh.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { makeCaPair, makePair } from '../helpers/certificates.ts';
import { type Block, blocksOf, commandsOf, missingLine, pages } from '../helpers/docs.ts';
import { needs, needsPython } from '../helpers/need.ts';
import { repositoryRoot } from '../helpers/portico.ts';

const programs = needs(
  ...['unshare', 'curl', 'ip', 'openssl', 'wrk', 'uvicorn', 'gunicorn'],
  ...['systemd-analyze', 'systemd-socket-activate'],
);
const skip =
  programs.skip ||
  needsPython('flask', 'django', 'fastapi').skip ||
  (process.getuid?.() === 0 ? false : 'only root can make a network');
const fixtures = join(repositoryRoot, 'test/fixtures/docs');

suite('the commands of the pages', { skip, concurrency: 2 }, () => {
  const site = mkdtempSync(join(tmpdir(), 'portico-docs-'));
  before(() => makeSite(site));
  after(() => rmSync(site, { recursive: true, force: true }));

  for (const page of pages()) {
    const blocks = blocksOf(page);
    if (blocks.some(({ kind }) => kind === 'sh' || kind === 'console'))
      test(page, (t) => run(t, { page, blocks, site }));
  }
});

/** What pages take for granted: an app, its files, its certificates. */
async function makeSite(site: string): Promise<void> {
  cpSync(fixtures, site, { recursive: true });
  const own = 'process.stdout.write("//".repeat(9_000))';
  writeFileSync(join(site, 'public/app.3f2a9c1b.js'), execFileSync(process.execPath, ['-e', own]));
  const [one, other, ca] = [
    await makePair(['example.com']),
    await makePair(['shop.test']),
    await makeCaPair('Clients'),
  ];
  const files = {
    'fullchain.pem': one.certPem,
    'privkey.pem': one.keyPem,
    'server.pem': one.certPem + one.keyPem,
    'a.pem': one.certPem,
    'b.key': other.keyPem,
    'clients-ca.pem': ca.certPem,
    'eab.key': Buffer.alloc(32).toString('base64url'),
    'public/style.css': 'body { color: black }',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(site, name), text);
}

interface Page {
  readonly page: string;
  readonly blocks: readonly Block[];
  readonly site: string;
}

async function run(t: TestContext, { page, blocks, site }: Page): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'portico-page-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const work = join(home, 'work');
  mkdirSync(work);
  // A page with files of its own has to have all that it needs.
  if (blocks.every(({ file }) => file === null)) cpSync(site, work, { recursive: true });
  const { script, expected } = scriptOf(blocks, home);
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const child = spawn('unshare', [...namespaces, 'bash', '-xc', script], {
    cwd: work,
    env: {
      PATH: `${makePrograms(home, site)}:/usr/bin:/bin:/usr/sbin:/sbin`,
      HOME: home,
      repository: repositoryRoot,
      site,
      XDG_DATA_HOME: join(home, '.local/share'),
      PORTICO_RUNTIME_DIR: join(home, 'run'),
      PORTICO_ACME_STORAGE: join(home, 'acme'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  const hard = setTimeout(() => child.kill('SIGKILL'), 90_000);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(hard);
  assert.equal(code, 0, `${page}:\n${printed.slice(-6000)}`);
  for (const { file, lines } of expected) {
    const got = readFileSync(file, 'utf8');
    const missing = missingLine(lines, got);
    assert.equal(missing, null, `${page} says "${missing}", but there is:\n${got}`);
  }
}

/** Programs that a reader has installed. */
function makePrograms(home: string, site: string): string {
  const bin = join(home, 'bin');
  mkdirSync(bin);
  const main = join(repositoryRoot, 'dist/main.js');
  const portico = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;
  writeFileSync(join(bin, 'portico'), portico, { mode: 0o755 });
  symlinkSync(process.execPath, join(bin, 'node'));
  // Portico starts these by itself: any server that takes an address in their way.
  for (const name of ['bundle', 'php']) symlinkSync(join(site, 'server'), join(bin, name));
  // The pages' apps find express, socket.io and the like, and what is not among them.
  symlinkSync(join(repositoryRoot, 'node_modules'), join(home, 'node_modules'));
  const modules = join(home, 'work/node_modules');
  mkdirSync(join(modules, 'next'), { recursive: true });
  symlinkSync(repositoryRoot, join(modules, 'portico'));
  symlinkSync(bin, join(modules, '.bin'));
  cpSync(join(site, 'next.js'), join(modules, 'next/index.js'));
  return bin;
}

interface Expected {
  readonly file: string;
  readonly lines: readonly string[];
}

const program = /(^|\s)(?=(npx|systemd-socket-activate) .*portico |\S*(portico|myservice)( |$))/;

/** A shell script of the blocks, in their order; each line has to succeed but where the page shows what is printed. */
function scriptOf(
  blocks: readonly Block[],
  home: string,
): { script: string; expected: readonly Expected[] } {
  const steps = [readFileSync(join(fixtures, 'prelude.sh'), 'utf8')];
  const expected: Expected[] = [];
  // A page that starts nothing and asks is about a Portico that runs.
  const commands = blocks.flatMap((block) => commandsOf(block));
  if (commands.some(({ line }) => /^curl /.test(line)) && !commands.some(({ serves }) => serves))
    steps.push('serve portico --workers 2 --static /static=public app.js:app');
  for (const [index, block] of blocks.entries()) {
    const file = join(home, `block-${index}`);
    if (block.file !== null) {
      writeFileSync(file, block.text);
      steps.push(`mkdir -p '${dirname(block.file)}'; cp '${file}' '${block.file}'`);
    } else
      for (const [at, { line, serves, prints }] of commandsOf(block).entries()) {
        const command = serves ? line.replace(program, '$1serve ') : line;
        if (prints.length === 0) steps.push(command);
        else {
          const output = `${file}.${at}`;
          expected.push({ file: output, lines: prints });
          steps.push(
            serves
              ? `${command} || true\ncp "$logs" '${output}'`
              : `{ ${command}\n} > '${output}' 2>&1 || true`,
          );
        }
      }
  }
  return { script: steps.join('\n'), expected };
}
