// The Dockerfile, without Docker: what it copies is there, its steps are carried out in a directory, and what comes out
// runs as a container would: as process 1, as a user without rights, in a root that holds nothing else and is read-only.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import {
  build,
  commandOf,
  copyOf,
  environmentOf,
  putLibraries,
  readDockerfile,
} from '../helpers/dockerfile.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot, spawnProgram, suiteOwner } from '../helpers/portico.ts';

const files = ['Dockerfile', 'examples/compose/api/Dockerfile'];

for (const file of files) {
  test(`${file}: sources are there, nothing runs as root, no shell between`, () => {
    const stages = readDockerfile(join(repositoryRoot, file));
    const context = join(repositoryRoot, file, '..');
    const names = stages.map(({ name }) => name);
    for (const step of stages.flatMap(({ steps }) => steps)) {
      assert.notEqual(step.op, 'ADD');
      if (step.op !== 'COPY') continue;
      const { from, sources } = copyOf(step);
      if (from === null)
        for (const source of sources) assert.ok(existsSync(join(context, source)), source);
      else assert.ok(names.includes(from), from);
    }
    for (const { from } of stages)
      assert.match(from, /:(?!latest$)[\w.-]+(@sha256:[0-9a-f]{64})?$/);
    const last = stages.at(-1)!;
    assert.match(last.steps.findLast(({ op }) => op === 'USER')!.text, /^[1-9]\d*:[1-9]\d*$/);
    assert.ok(commandOf(last, 'CMD').length > 0);
    for (const { text } of last.steps.filter(({ op }) => ['CMD', 'ENTRYPOINT'].includes(op)))
      assert.match(text, /^\[/);
  });

  test(`${file}: base images can be pinned by digest; what is installed is as the lock file says and leaves no lists`, () => {
    const path = join(repositoryRoot, file);
    const named = [...readFileSync(path, 'utf8').matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)];
    const digest = `@sha256:${'0'.repeat(64)}`;
    const pinned = named.map(([, name = '', image = '']) => [name, image + digest] as const);
    const stages = readDockerfile(path, Object.fromEntries(pinned));
    assert.deepEqual(
      stages.map(({ from }) => from).filter((from) => !from.endsWith(digest)),
      [],
    );
    for (const { op, text } of stages.flatMap(({ steps }) => steps)) {
      if (op === 'WORKDIR') assert.match(text, /^\//);
      if (op === 'ENV' || op === 'ARG') assert.doesNotMatch(text, /PASSWORD=|SECRET=|TOKEN=/);
      if (op !== 'RUN') continue;
      assert.doesNotMatch(text, /\bsudo\b|npm (i|install)\b|apt-get upgrade|curl .*\|/);
      if (/apt-get install/.test(text))
        assert.match(text, /update .* --no-install-recommends .* rm -rf \/var\/lib\/apt\/lists/);
      if (/pip install/.test(text)) assert.match(text, /--no-cache-dir .*-r requirements\.txt/);
    }
  });
}

test('.dockerignore leaves out no file that is copied, and keeps secrets out', () => {
  const lines = readFileSync(join(repositoryRoot, '.dockerignore'), 'utf8').split('\n');
  for (const needed of ['**/secrets', '**/.env', '.git', '**/node_modules'])
    assert.ok(lines.includes(needed), needed);
  const copied = readDockerfile(join(repositoryRoot, 'Dockerfile'))
    .flatMap(({ steps }) => steps.filter(({ op }) => op === 'COPY').map(copyOf))
    .flatMap(({ from, sources }) => (from === null ? sources : []));
  assert.deepEqual(
    copied.filter((source) => lines.includes(source.split('/')[0]!)),
    [],
  );
});

const root = needs('unshare', 'nsenter', 'cc');
const skip = root.skip || (process.getuid?.() === 0 ? false : 'only root can make namespaces');

suite('the image', { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-image-'));
  const stages = readDockerfile(join(repositoryRoot, 'Dockerfile'));
  const last = stages.at(-1)!;
  let image: string;

  before(() => {
    const foreign = { '/usr/local/bin/node': process.execPath };
    image = build(stages, { context: repositoryRoot, into: dir, foreign, skips: /apt-get/ });
    // What the base image has.
    putLibraries(process.execPath, image);
    for (const place of ['tmp', 'proc', 'dev/shm'])
      mkdirSync(join(image, place), { recursive: true });
    writeFileSync(join(image, 'app/slow.mjs'), slowApp);
    writeFileSync(join(image, 'app/forks.mjs'), forkingApp);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  function start(t: TestContext, command: readonly string[]) {
    return startImage(t, image, [...commandOf(last, 'ENTRYPOINT'), ...command], {
      ...environmentOf(last),
      PATH: '/usr/local/bin:/usr/bin',
      PORTICO_BIND: '127.0.0.1:0',
    });
  }

  test('serves app and static files, is healthy by its HEALTHCHECK, and logs to stdout', async (t) => {
    const container = await start(t, commandOf(last, 'CMD'));
    const page = await fetch(container.origin);
    assert.match(await page.text(), /<title>Notes<\/title>/);
    assert.equal((await fetch(`${container.origin}/assets/style.css`)).status, 200);
    assert.equal((await fetch(`${container.origin}/none`)).status, 404);
    await container.logged(/"GET \/none HTTP\/1\.1" 404/);
    const health = await container.inside(commandOf(last, 'HEALTHCHECK'));
    assert.match(health.stdout, /^portico: ready: /);
    assert.equal(health.status, 0);
    assert.match((await container.inside(['portico', 'status'])).stdout, /serving/);
    // Nothing of a build, and no shell.
    assert.deepEqual(readdirSync(join(image, 'usr/local/bin')).sort(), ['node', 'portico']);
    assert.ok(!existsSync(join(image, 'opt/portico/node_modules/typescript')));
    assert.ok(!existsSync(join(image, 'opt/portico/src')));
  });

  test('waits for what the app’s processes left behind: no zombie stays', async (t) => {
    const container = await start(t, ['--workers', '1', 'forks.mjs']);
    const grandchild = await (await fetch(`${container.origin}/fork`)).text();
    const end = performance.now() + 10_000;
    let states = container.states();
    // It lives until its input ends, which the next request does.
    assert.ok(
      states.some(({ args }) => args.includes('grandchild')),
      grandchild,
    );
    await fetch(`${container.origin}/end`);
    while (states.some(({ args, state }) => args.includes('grandchild') || state === 'Z')) {
      assert.ok(performance.now() < end, JSON.stringify(states));
      await new Promise((resolve) => setTimeout(resolve, 50));
      states = container.states();
    }
  });

  test('a stop is over within Docker’s 10 s, with a request that does not end', async (t) => {
    const container = await start(t, ['--workers', '1', 'slow.mjs']);
    const slow = fetch(`${container.origin}/slow`).then(
      ({ status }) => status,
      () => 'cut',
    );
    await container.logged(/asked/);
    const before = performance.now();
    container.stop();
    assert.equal(await container.exited, 0);
    const tookMs = performance.now() - before;
    t.diagnostic(`stopped after ${Math.round(tookMs)} ms; the request: ${await slow}`);
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
  });
});

const slowApp = `import http from 'node:http';
export default http.createServer((req, res) => {
  if (req.url === '/slow') console.log('asked');
  else res.end('quick');
});
`;

/** The first request starts a child that starts another one and ends. */
const forkingApp = `import http from 'node:http';
import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
const grandchild = "setInterval(() => require('fs').existsSync('/tmp/end') && process.exit(0), 20)";
const child = \`require('child_process').spawn(process.execPath, ['-e', \${JSON.stringify(grandchild)}, 'grandchild'], { detached: true, stdio: 'ignore' }).unref()\`;
export default http.createServer((req, res) => {
  if (req.url === '/end') {
    writeFileSync('/tmp/end', '');
    res.end();
  } else spawn(process.execPath, ['-e', child], { stdio: 'ignore' }).on('exit', () => res.end('left'));
});
`;

/** Runs a command as a container engine would, as far as a program notices. */
async function startImage(
  t: TestContext,
  image: string,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
) {
  const words = (list: readonly string[]) => list.map((word) => `'${word}'`).join(' ');
  const variables = words(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  const enter = `unshare --root='${image}' --wd=/app --setgid=65532 --setuid=65532`;
  const script = `
    mount --bind '${image}' '${image}'
    for device in null urandom; do touch '${image}'/dev/$device; mount --bind /dev/$device '${image}'/dev/$device; done
    mount -o remount,bind,ro '${image}'
    mount -t tmpfs -o mode=1777 tmpfs '${image}/tmp'
    mount -t tmpfs -o mode=1777 tmpfs '${image}/dev/shm'
    mount -t proc proc '${image}/proc'
    exec env -i ${variables} ${enter} ${words(command)}`;
  const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child'] as const;
  const owner = suiteOwner();
  const program = spawnProgram(owner, [...unshare, 'sh', '-ec', script]);
  // The child of unshare: process 1 in there. With it all of them end; unshare itself takes no TERM.
  const children = `/proc/${program.pid}/task/${program.pid}/children`;
  t.after(async () => {
    const left = existsSync(children) ? Number(readFileSync(children, 'utf8')) : 0;
    if (left > 0) process.kill(left, 'SIGKILL');
    t.diagnostic(program.log().slice(-4000));
    await owner.end();
  });
  const [, url] = await program.logged(/Listening at: (http:\/\/[^\s,]+)/, { deadlineMs: 30_000 });
  const first = readFileSync(children, 'utf8').trim();
  return {
    ...program,
    origin: url as string,
    stop: () => void process.kill(Number(first), 'SIGTERM'),
    async inside(args: readonly string[]) {
      const nsenter = [
        '--target',
        first,
        '--mount',
        '--pid',
        '--root',
        '--wd',
        '--setuid',
        '65532',
        '--setgid',
        '65532',
      ];
      const child = spawn('nsenter', [...nsenter, ...args], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      const status = await new Promise((resolve) => child.once('close', resolve));
      return { stdout, status };
    },
    /** All processes of the container. */
    states() {
      const ps = spawnSync('ps', ['-eo', 'pidns,state,args'], { encoding: 'utf8' }).stdout;
      const namespace = spawnSync('ps', ['-o', 'pidns=', '-p', first], {
        encoding: 'utf8',
      }).stdout.trim();
      return ps.split('\n').flatMap((line) => {
        const [, pidns, state, args] = /^\s*(\d+) (\S+) (.*)$/.exec(line) ?? [];
        return pidns === namespace ? [{ state: state!, args: args! }] : [];
      });
    },
  };
}
