// Portico under systemd, with the real program on one side and what systemd does on the other: the units, sd_notify,
// the watchdog, and sockets that are passed on.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { makePair } from '../helpers/certificates.ts';
import { directoryOf } from '../helpers/cli.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot, spawnPortico, spawnProgram, startPortico } from '../helpers/portico.ts';

const program = [process.execPath, join(repositoryRoot, 'dist/main.js')] as const;
const fixture = (name: string) => join(repositoryRoot, 'test/fixtures', name);

/** The app tells its environment. */
const app = {
  'app.mjs':
    "import http from 'node:http';\nexport default http.createServer((req, res) => res.end(JSON.stringify(process.env)));\n",
};

/** What was sent to NOTIFY_SOCKET, message by message; waits for one that matches. */
async function receiver(t: TestContext, dir: string) {
  const path = join(dir, 'notify.sock');
  const child = spawn('python3', [fixture('notify-receiver.py'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => void child.kill());
  const heard: string[] = [];
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  lines.on('line', (line) => heard.push(JSON.parse(line)));
  const hears = async (pattern: RegExp, from = 0): Promise<number> => {
    const find = () => heard.findIndex((text, index) => index >= from && pattern.test(text));
    await until(
      lines,
      'line',
      () => find() !== -1,
      () => `no ${pattern} in ${JSON.stringify(heard)}`,
    );
    return find();
  };
  await hears(/^listening$/);
  return { path, heard, hears };
}

test(
  'systemd hears of start, reload, stop and the watchdog’s sign',
  needs('python3', 'systemd-notify'),
  async (t) => {
    const dir = directoryOf(t, app);
    const { path, heard, hears } = await receiver(t, dir);
    const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' };
    const portico = await startPortico(t, ['--workers', '2', join(dir, 'app.mjs')], { env });
    const ready = await hears(/^READY=1\n/);
    assert.ok(heard.slice(0, ready).every((text) => !/READY|RELOADING|STOPPING/.test(text)));
    await hears(/^STATUS=2 of 2 workers serve, generation 1$/m);
    await hears(/^WATCHDOG=1$/m);
    const beforeMs = Number(process.hrtime.bigint() / 1000n);
    portico.signal('SIGHUP');
    const reloading = await hears(/^RELOADING=1\n/);
    const [, at] = /MONOTONIC_USEC=(\d+)/.exec(heard[reloading]!) ?? [];
    assert.ok(Number(at) >= beforeMs && Number(at) <= Number(process.hrtime.bigint() / 1000n), at);
    await hears(/^READY=1\n/, reloading);
    await hears(/^STATUS=2 of 2 workers serve, generation 2$/m, reloading);

    // An app that says READY=1 to systemd itself would be taken for the service.
    const seen = (await (await fetch(portico.origin)).json()) as Record<string, string>;
    assert.deepEqual(
      Object.keys(seen).filter((name) => /^(NOTIFY|WATCHDOG|LISTEN)_/.test(name)),
      [],
    );
    portico.signal('SIGTERM');
    await hears(/^STOPPING=1\n/, reloading);
    assert.equal(await portico.exited, 0);
  },
);

test(
  'a reload that fails is told in the status, and the service stays ready',
  needs('python3', 'systemd-notify'),
  async (t) => {
    const dir = directoryOf(t, { ...app, 'portico.config.json': '{ "app": "app.mjs" }' });
    const { path, hears } = await receiver(t, dir);
    const portico = await startPortico(t, ['--workers', '1', '--chdir', dir], {
      env: { NOTIFY_SOCKET: path },
    });
    const ready = await hears(/^READY=1\n/);
    writeFileSync(join(dir, 'portico.config.json'), '{ "app": "app.mjs", "workres": 1 }');
    portico.signal('SIGHUP');
    const reloading = await hears(/^RELOADING=1\n/, ready);
    await hears(
      /^READY=1\nSTATUS=1 of 1 workers serve; the last reload failed: .*workres/,
      reloading,
    );
  },
);

test('where systemd-notify is missing it says so once, and serves', async (t) => {
  const dir = directoryOf(t, app);
  const portico = await startPortico(t, [join(dir, 'app.mjs')], {
    env: { NOTIFY_SOCKET: join(dir, 'nobody.sock'), PATH: dir },
  });
  await portico.logged(/Cannot tell systemd how the service is, by systemd-notify: not found/);
  assert.equal((await fetch(portico.origin)).status, 200);
  assert.equal(portico.log().match(/Cannot tell systemd/g)?.length, 1);
});

test(
  'sockets that systemd bound are served in place of binds, and outlive a restart',
  needs('python3'),
  async (t) => {
    const { certPem, keyPem } = await makePair(['localhost']);
    const dir = directoryOf(t, { ...app, 'cert.pem': certPem, 'key.pem': keyPem });
    const files = ['--certfile', join(dir, 'cert.pem'), '--keyfile', join(dir, 'key.pem')];
    const command = [...program, '--workers', '1', ...files, join(dir, 'app.mjs')];
    const launcher = spawnLauncher(t, ['web', 'https', '--', ...command]);
    const { web, https } = await launcher.ports();
    await launcher.said(/Listening at: http:\/\/127/);
    const env = JSON.parse(await get(web));
    assert.equal(env.LISTEN_FDS, undefined);
    assert.equal(JSON.parse(await getSecure(https, certPem)).LISTEN_FDS, undefined);

    process.kill(await launcher.pid(), 'SIGTERM');
    await launcher.said(/Shutting down: arbiter/);
    // Nobody accepts now: the connection waits in the socket's queue.
    const waiting = get(web);
    launcher.again();
    assert.equal(typeof JSON.parse(await waiting).PORTICO_SLOT, 'string');
  },
);

test('--bind fd:// names one of the sockets, by name or number', needs('python3'), async (t) => {
  const dir = directoryOf(t, app);
  const command = (...bind: string[]) => [
    ...program,
    ...bind,
    '--workers',
    '1',
    join(dir, 'app.mjs'),
  ];
  const named = spawnLauncher(t, ['web', 'other', '--', ...command('--bind', 'fd://web')]);
  assert.match(await get((await named.ports()).web), /PATH/);
  await named.said(/Listening at: http:\/\/127/);
  assert.equal(named.log().match(/Listening at/g)?.length, 1);

  const numbered = spawnLauncher(t, ['web', 'other', '--', ...command('--bind', 'fd://4')]);
  assert.match(await get((await numbered.ports()).other), /PATH/);

  const wrong = spawnLauncher(t, ['web', '--', ...command('--bind', 'fd://wbe')]);
  await wrong.said(
    /Cannot listen at fd:\/\/wbe: the sockets that were passed at the start: 3 \(web\)/,
  );
});

test('a descriptor that is no listening socket is refused, and variables for another process are not ours', async (t) => {
  const none = spawnPortico(t, ['--bind', 'fd://900', 'x.js']);
  await none.logged(/Cannot listen at descriptor 900 \(unknown\): it is not open/);
  assert.equal(await none.exited, 1);
  const dir = directoryOf(t, app);
  const env = { LISTEN_PID: '1', LISTEN_FDS: '2' };
  const portico = await startPortico(t, [join(dir, 'app.mjs')], { env });
  assert.equal((await fetch(portico.origin)).status, 200);
});

test(
  'systemd-socket-activate starts it on the first connection',
  needs('systemd-socket-activate'),
  async (t) => {
    const dir = directoryOf(t, app);
    const path = join(dir, 'public.sock');
    const command = [
      'systemd-socket-activate',
      '--fdname=web',
      '-l',
      path,
      '-E',
      'PORTICO_RUNTIME_DIR',
    ] as const;
    const portico = spawnProgram(t, [
      ...command,
      ...program,
      '--workers',
      '1',
      join(dir, 'app.mjs'),
    ]);
    await portico.logged(/Listening on/);
    const text = await new Promise<string>((resolve, reject) => {
      request({ socketPath: path, path: '/' }, (response) => {
        let body = '';
        response
          .on('data', (piece) => {
            body += piece;
          })
          .on('end', () => resolve(body));
      })
        .on('error', reject)
        .end();
    });
    assert.match(text, /PATH/);
    await portico.logged(new RegExp(`Listening at: unix:${path}`));
  },
);

test(
  'the units are sound, and systemd judges their hardening well',
  needs('systemd-analyze'),
  (t) => {
    const dir = directoryOf(t, {});
    const unit = readFileSync(join(repositoryRoot, 'systemd/portico.service'), 'utf8');
    // systemd-analyze wants a program that is there.
    const file = join(dir, 'portico.service');
    writeFileSync(file, unit.replaceAll('/srv/app/node_modules/.bin/portico', process.execPath));
    copyFileSync(join(repositoryRoot, 'systemd/portico.socket'), join(dir, 'portico.socket'));
    const verify = spawnSync('systemd-analyze', ['verify', file, join(dir, 'portico.socket')], {
      encoding: 'utf8',
    });
    assert.equal(verify.status, 0, verify.stderr);
    assert.equal(verify.stderr, '');
    const security = execFileSync('systemd-analyze', ['security', '--offline=yes', file], {
      encoding: 'utf8',
    });
    const score = Number(/exposure level for portico.service: ([\d.]+)/.exec(security)?.[1]);
    t.diagnostic(`exposure ${score}`);
    assert.ok(score <= 2, security);
  },
);

/** Looks after each event whether it is so; fails after 20 s. */
function until(source: EventEmitter, event: string, isSo: () => boolean, why: () => string) {
  return new Promise<void>((resolve, reject) => {
    const end = (act: () => void) => {
      clearTimeout(timer);
      source.off(event, look);
      act();
    };
    const look = () => isSo() && end(resolve);
    const timer = setTimeout(() => end(() => reject(new Error(why()))), 20_000);
    source.on(event, look);
    look();
  });
}

interface Launcher {
  ports(): Promise<Record<'web' | 'https' | 'other', number>>;
  said(pattern: RegExp): Promise<RegExpMatchArray>;
  log(): string;
  pid(): Promise<number>;
  /** Starts the program again, which has ended. */
  again(): void;
}

function spawnLauncher(t: TestContext, args: readonly string[]): Launcher {
  const runtimeDir = directoryOf(t, {});
  const child: ChildProcess = spawn('python3', [fixture('pass-sockets.py'), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, PORTICO_RUNTIME_DIR: join(runtimeDir, 'run') },
  });
  let printed = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      child.emit('printed');
    });
  const said: Launcher['said'] = async (pattern) => {
    await until(
      child,
      'printed',
      () => pattern.test(printed),
      () => `no ${pattern} in:\n${printed}`,
    );
    return pattern.exec(printed) as RegExpExecArray;
  };
  const pid = async () =>
    Number([...(await said(/started (\d+)/)).input!.matchAll(/started (\d+)/g)].at(-1)![1]);
  t.after(async () => {
    child.stdin!.end();
    if (child.exitCode !== null) return;
    process.kill(await pid(), 'SIGINT');
    await once(child, 'close');
  });
  return {
    said,
    pid,
    log: () => printed,
    again: () => void child.stdin!.write('again\n'),
    async ports() {
      await said(/started/);
      return Object.fromEntries(
        [...printed.matchAll(/listening (\w+) (\d+)/g)].map(([, name, port]) => [
          name,
          Number(port),
        ]),
      ) as Record<'web' | 'https' | 'other', number>;
    },
  };
}

async function get(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/`)).text();
}

function getSecure(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    secureRequest({ host: '127.0.0.1', port, ca, servername: 'localhost' }, (response) => {
      let text = '';
      response
        .on('data', (piece) => {
          text += piece;
        })
        .on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}
