// What the command line says: help, versions, problems, the settings and where they came from.

import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryOf, portico } from '../helpers/cli.ts';
import { repositoryRoot } from '../helpers/portico.ts';

test('the command line', async (t) => {
  await t.test('without arguments it says how it is used', async (t) => {
    const ran = await portico([], { cwd: directoryOf(t, {}) });
    assert.deepEqual(ran, {
      code: 1,
      stdout: '',
      stderr: `Usage: portico [OPTIONS] MODULE[:EXPORT]
       portico status | health | reload | stop | scale N | purge URL...   [-c FILE | --pid FILE]
       portico precompress DIR...
       portico build [OPTIONS] MODULE[:EXPORT] -o FILE
       portico routes | routes test [METHOD] URL [-H 'NAME: VALUE']
       portico cert dev | inspect FILE | inspect HOST:PORT

Serve an app:  portico app.js:app
All options:   portico --help
`,
    });
  });

  await t.test('--version and --help go to stdout', async (t) => {
    const cwd = directoryOf(t, {});
    const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'));
    assert.deepEqual(await portico(['-v'], { cwd }), {
      code: 0,
      stdout: `portico ${version}\n`,
      stderr: '',
    });
    const help = await portico(['-h', '--nonsense'], { cwd });
    assert.equal(help.code, 0);
    assert.match(help.stdout, /^Usage: portico \[OPTIONS\] MODULE\[:EXPORT\]\n/);
    assert.match(
      help.stdout,
      /\n {2}-b, --bind ADDRESS {19}HOST:PORT, :PORT, https:\/\/HOST:PORT or unix:PATH; repeatable\n/,
    );
    const reload = await portico(['reload', '--help'], { cwd });
    assert.match(
      reload.stdout,
      /^Usage: portico reload \[--app NAME\]\n\nLoads settings and app anew/,
    );
  });

  await t.test('all problems are named at once, each with its source', async (t) => {
    const cwd = directoryOf(t, {
      'app.js': '',
      'site.yaml': '# a site\nworkers: many\naccesslog: "-"\nstatic: { /s: nowhere }\n',
    });
    const args = [
      '-c',
      'site.yaml',
      '--graceful-timeout',
      '10x',
      '--worker-clas',
      'sync',
      'app.js',
    ];
    const env = {
      PORTICO_KEEPALIVE: '5',
      PORTICO_BACKLOG: '0',
      PORTICO_CMD_ARGS: '--umask 9 -b :99999',
      WEB_CONCURRENCY: 'x',
    };
    const ran = await portico([...args, 'more'], { cwd, env });
    assert.deepEqual(
      { ...ran, stderr: ran.stderr.split('\n') },
      {
        code: 1,
        stdout: '',
        stderr: [
          'portico: Unknown environment variable PORTICO_KEEPALIVE: did you mean PORTICO_KEEP_ALIVE?',
          'portico: Unknown flag --worker-clas: did you mean --worker-class?',
          'portico: Unexpected argument "more": one app at a time',
          'portico: Unknown setting "accesslog" (from site.yaml:3): did you mean accessLogfile?',
          'portico: Cannot use workers "many" (from site.yaml:2): expected a whole number from 1 to 1024, or auto',
          'portico: Cannot use backlog "0" (from PORTICO_BACKLOG): expected a whole number from 1 to 65535',
          'portico: Cannot use workers "x" (from WEB_CONCURRENCY): expected a whole number from 1 to 1024, or auto',
          'portico: Cannot use umask "9" (from --umask in PORTICO_CMD_ARGS): expected an octal number from 0 to 777 such as 022 or "022"',
          'portico: Cannot use bind ":99999" (from -b in PORTICO_CMD_ARGS): expected HOST:PORT, [IPv6]:PORT, :PORT, https://HOST:PORT, unix:PATH or fd://NUMBER, with a port from 0 to 65535',
          'portico: Cannot use gracefulTimeout "10x" (from --graceful-timeout): expected a duration such as 30, 30s or 500ms',
          `portico: Cannot use static "/s=${cwd}/nowhere" (from site.yaml:4): there is no directory ${cwd}/nowhere`,
          '',
        ],
      },
    );
  });

  await t.test('settings that do not go together are problems', async (t) => {
    const cwd = directoryOf(t, { 'app.js': '', file: '' });
    const path = join(cwd, 'x'.repeat(120));
    const ran = await portico(
      [
        ...['--threads', '2', '-k', 'async', '-b', ':1', '-b', '0.0.0.0:1', '-b', `unix:${path}`],
        ...['--static', '/a=file', '--static', '/b=.', '--static', '/b/=.', '--check-config'],
        'app.js',
      ],
      { cwd },
    );
    const limit = process.platform === 'linux' ? 107 : 103;
    assert.deepEqual(
      { ...ran, stderr: ran.stderr.split('\n') },
      {
        code: 1,
        stdout: '',
        stderr: [
          'portico: Cannot use workerClass "async" (from -k) with threads 2 (from --threads): leave one of them out, or use workerClass threads',
          `portico: Cannot use static "/a=${cwd}/file" (from --static): ${cwd}/file is not a directory`,
          'portico: Cannot use static "/b" (from --static): two directories have this prefix',
          'portico: Cannot use bind "0.0.0.0:1" (from -b): it is there twice',
          `portico: Cannot use bind ${JSON.stringify(`unix:${path}`).slice(0, 120)}…" (from -b): its path is longer than ${limit} bytes`,
          '',
        ],
      },
    );
  });

  await t.test('--print-config shows each value and where it came from', async (t) => {
    const cwd = directoryOf(t, {
      'portico.config.toml': 'timeout = 5\nqueueSize = 7\nkeepAlive = "9s"\n',
    });
    const env = { PORTICO_KEEP_ALIVE: '7', PORTICO_CMD_ARGS: '--backlog 5 -w 7', PORT: '80' };
    const args = ['--print-config', '-w', '3', '--pid', 'run/pid', 'app.js:app', '-k', 'sync'];
    const { code, stdout, stderr } = await portico(args, { cwd, env });
    assert.deepEqual([code, stderr], [0, '']);
    const lines = Object.fromEntries(
      stdout.split('\n').map((line) => [line.split(/ {2,}/)[0], line.split(/ {2,}/).slice(1)]),
    );
    assert.deepEqual(lines.timeout, ['5s', 'portico.config.toml:1']);
    assert.deepEqual(lines.queueSize, ['7', 'portico.config.toml:2']);
    assert.deepEqual(lines.keepAlive, ['7s', 'PORTICO_KEEP_ALIVE']);
    assert.deepEqual(lines.backlog, ['5', '--backlog in PORTICO_CMD_ARGS']);
    assert.deepEqual(lines.workers, ['3', '-w']);
    assert.deepEqual(lines.bind, ['0.0.0.0:80', 'PORT']);
    assert.deepEqual(lines.app, ['app.js:app', 'the command line']);
    assert.deepEqual(lines.pid, [`${cwd}/run/pid`, '--pid: run/pid']);
    assert.deepEqual(lines.workerConnections, ['1', 'default: 1000']);
    assert.deepEqual(lines.chdir, [cwd, 'default: .']);
    const json = await portico([...args, '--json'], { cwd, env });
    assert.deepEqual(JSON.parse(json.stdout).timeout, {
      value: 5000,
      from: 'portico.config.toml:1',
    });
  });

  await t.test('a misspelt command is no app that fails to load', async (t) => {
    const cwd = directoryOf(t, { 'stats.js': 'module.exports = (req, res) => res.end();' });
    const said = async (...args: string[]) => (await portico(args, { cwd })).stderr;
    const meant = 'portico: There is neither an app nor a command "staus": did you mean portico';
    assert.equal(await said('staus'), `${meant} status?\n`);
    assert.equal(await said('staus', '--check-config'), `${meant} status?\n`);
    assert.match(await said('staus', '--json'), /^portico: There is no command "staus": did you/);
    assert.match(
      await said('scael', '4'),
      /^portico: Unexpected argument "4": did you mean .* scale/,
    );
    assert.equal((await portico(['--check-config', 'stats'], { cwd })).code, 0);
  });

  await t.test(
    'what follows an unknown flag may be its value: no problem of its own',
    async (t) => {
      const cwd = directoryOf(t, {});
      const said = async (args: string[], env = {}) => (await portico(args, { cwd, env })).stderr;
      const unknown = 'portico: Unknown flag --foo: see portico --help';
      assert.equal(await said(['--foo', '3', 'app.js']), `${unknown}\n`);
      assert.equal(await said(['app.js', '--foo', '3']), `${unknown}\n`);
      const env = { PORTICO_CMD_ARGS: `--foo 3 app.js -b "x` };
      const lines = [
        `${unknown} (in PORTICO_CMD_ARGS)`,
        'portico: -b needs a value: expected ',
        'portico: Cannot use PORTICO_CMD_ARGS: the quote at character 19 is not closed',
        'portico: Cannot use workers "x" (from --workers): expected ',
      ];
      const said2 = (await said(['--workers', 'x'], env)).split('\n');
      for (const line of lines)
        assert.ok(
          said2.some((one) => one.startsWith(line)),
          line,
        );
      assert.equal(said2.length, lines.length + 1, said2.join());
    },
  );

  await t.test('what is not in force of PORT does not matter', async (t) => {
    const cwd = directoryOf(t, { 'app.js': 'module.exports = (req, res) => res.end();' });
    const env = { PORT: 'tcp://10.0.0.1:80' };
    assert.equal((await portico(['--check-config', '-b', ':1', 'app.js'], { cwd, env })).code, 0);
    const ran = await portico(['--check-config', 'app.js'], { cwd, env });
    assert.match(
      ran.stderr,
      /^portico: Cannot use bind "0\.0\.0\.0:tcp:\/\/10\.0\.0\.1:80" \(from PORT\)/,
    );
  });

  await t.test('the directory it is started in keeps its symbolic name', async (t) => {
    const dir = directoryOf(t, { 'release-1/app.js': '' });
    symlinkSync('release-1', join(dir, 'current'));
    const cwd = join(dir, 'current');
    const chdirOf = async (env: Record<string, string>) =>
      JSON.parse(
        (await portico(['app.js'], { cwd, env: { ...env, PORTICO_ROLE: 'config' } })).stdout,
      ).chdir;
    assert.equal(await chdirOf({ PWD: cwd }), cwd);
    assert.equal(await chdirOf({ PWD: '/' }), join(dir, 'release-1'));
    assert.equal(await chdirOf({}), join(dir, 'release-1'));
  });
});
