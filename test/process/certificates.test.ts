// Certificates in the whole program: what is refused at the start, who may read keys, and how changed
// files are followed.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { tempDir } from '../helpers/arbiter.ts';
import {
  type CertificateOptions,
  type MadePair,
  makePair,
  openssl,
} from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';
import { freePort } from '../helpers/ports.ts';
import { statusOf } from '../helpers/status.ts';
import { until } from '../helpers/until.ts';

const program = join(repositoryRoot, 'dist/main.js');
const app = join(repositoryRoot, 'test/fixtures/echo-app.mjs');

function write(dir: string, name: string, { certPem, keyPem }: MadePair): void {
  writeFileSync(join(dir, `${name}.pem`), certPem);
  writeFileSync(join(dir, `${name}.key`), keyPem, { mode: 0o600 });
}

async function files(t: TestContext, name: string, options: CertificateOptions = {}) {
  const dir = tempDir(t);
  write(dir, 'a', await makePair([name], options));
  return { dir, cert: join(dir, 'a.pem'), key: join(dir, 'a.key') };
}

const https = (cert: string, key: string) => [
  ...['--bind', 'https://127.0.0.1:0', '--certfile', cert, '--keyfile', key, '--workers', '1'],
];

/** Exit code and all that was printed. */
async function check(args: readonly string[], env: Record<string, string> = {}) {
  const run = promisify(execFile)(process.execPath, [program, '--check-config', ...args, app], {
    env: { ...process.env, ...env },
  });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, printed: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, printed: stdout + stderr }),
  );
}

/** The names of the certificate that is presented for a name. */
function presented(port: number, servername = ''): Promise<string> {
  return new Promise((done, fail) => {
    const client = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false });
    client.once('error', fail);
    client.once('secureConnect', () => {
      done(client.getPeerCertificate().subjectaltname ?? '');
      client.destroy();
    });
  });
}

/** A connection on which the handshake is done. */
function connected(port: number): Promise<TLSSocket> {
  return new Promise((done, fail) => {
    const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    client.once('error', fail);
    client.once('secureConnect', () => done(client));
  });
}

/** Until this certificate is presented. */
const becomes = (port: number, names: string) =>
  until(
    names,
    () => presented(port).catch(String),
    (seen) => seen === names,
  );

test(
  'all that is wrong with certificates is named at once, with setting, file and reason',
  needs('openssl'),
  async (t) => {
    const { dir, cert, key } = await files(t, 'a.test');
    write(dir, 'b', await makePair(['b.test']));
    writeFileSync(join(dir, 'empty.pem'), 'nothing\n');
    const encrypted = join(dir, 'encrypted.key');
    openssl(['pkcs8', '-topk8', '-in', key, '-out', encrypted, '-passout', 'pass:secret-words']);
    const config = join(dir, 'portico.config.json');
    const at = (name: string) => join(dir, name);
    const wrong = [
      [{ cert: 'none.pem', key: 'none.key' }, 'none.pem', `there is no file ${at('none.pem')}`],
      [
        { cert: 'a.pem', key: 'b.key' },
        'b.key',
        `the key in ${at('b.key')} does not fit the certificate in ${at('a.pem')}`,
      ],
      [{ cert: 'a.pem' }, 'a.pem', `there is no key in ${at('a.pem')}`],
      [
        { cert: 'empty.pem', key: 'a.key' },
        'empty.pem',
        `there is no certificate in ${at('empty.pem')}`,
      ],
      [
        { cert: 'a.pem', key: 'encrypted.key' },
        'encrypted.key',
        `the key in ${encrypted} is encrypted, and there is no passphrase for it`,
      ],
      [
        { cert: 'a.pem', key: 'encrypted.key', passphrase: 'other-words' },
        'encrypted.key',
        `the passphrase does not open the key in ${encrypted}`,
      ],
      [{ cert: dir, key: 'a.key' }, dir, `${dir} is not a file`],
    ] as const;
    writeFileSync(
      config,
      JSON.stringify({
        chdir: '.',
        bind: ['https://127.0.0.1:0'],
        tls: { certificates: wrong.map(([entry]) => entry) },
        caCerts: 'empty.pem',
        ciphers: 'NO-SUCH',
      }),
    );
    const { code, printed } = await check(['--config', config]);
    assert.equal(code, 1);
    for (const [, path, reason] of wrong) {
      const shown = JSON.stringify(path === dir ? dir : at(path));
      const line = `portico: Cannot use tls ${shown} (from ${config}:1): ${reason}\n`;
      assert.ok(printed.includes(line), `${line}\n${printed}`);
    }
    assert.match(printed, /Cannot use caCerts .*there is no certificate in/);
    assert.match(printed, /Cannot use ciphers "NO-SUCH" .*OpenSSL knows no cipher in it/);
    assert.doesNotMatch(printed, /secret-words|other-words/);
    const one = await check([...https(cert, encrypted)], {
      PORTICO_KEYFILE_PASSWORD: 'other-words',
    });
    assert.match(
      one.printed,
      /Cannot use keyfilePassword "\(hidden\)" \(from PORTICO_KEYFILE_PASSWORD\): the passphrase does not open/,
    );
    const fits = await check([...https(cert, encrypted)], {
      PORTICO_KEYFILE_PASSWORD: 'secret-words',
    });
    assert.equal(fits.code, 0, fits.printed);
  },
);

test('an https bind needs a certificate, and one that is not valid now is a warning', async (t) => {
  const none = await check(['--bind', 'https://127.0.0.1:8443']);
  assert.match(
    none.printed,
    /Cannot use bind "https:\/\/127.0.0.1:8443" .*there is no certificate/,
  );
  assert.equal(none.code, 1);
  const old = await files(t, 'old.test', { days: -3 });
  const expired = await check(https(old.cert, old.key));
  assert.match(expired.printed, /Warning: The certificate in .*a\.pem EXPIRED on \d{4}-\d\d-\d\d/);
  assert.equal(expired.code, 0);
  const idle = await check(['--certfile', old.cert, '--keyfile', old.key]);
  assert.match(idle.printed, /no bind begins with https/);
  const portico = await startPortico(t, [...https(old.cert, old.key), app]);
  await portico.logged(
    /WARNING\] edge 1: The certificate in .*a\.pem \(old\.test, by old\.test\) EXPIRED on/,
  );
});

test('a changed file is served from then on, without a new process; a bad one is refused, once', async (t) => {
  const { dir, cert, key } = await files(t, 'first.test');
  const portico = await startPortico(t, [...https(cert, key), app]);
  const open = await connected(portico.port);
  assert.equal(await presented(portico.port), 'DNS:first.test');
  const pids = async () => (await statusOf(portico.runtimeDir)).edges.map(({ pid }) => pid);
  const before = await pids();

  write(dir, 'a', await makePair(['second.test']));
  await portico.logged(/Taking a changed certificate: .*a\.pem, .*a\.key/);
  await becomes(portico.port, 'DNS:second.test');

  // The key of another one: the pair that was good goes on.
  const from = portico.log().length;
  writeFileSync(key, (await makePair(['third.test'])).keyPem);
  await portico.logged(
    /Not taking a changed certificate, the former one stays: the key in .*a\.key does not fit/,
  );
  assert.equal(await presented(portico.port), 'DNS:second.test');
  rmSync(key);
  await portico.logged(/the former one stays: there is no file .*a\.key/, { from });
  assert.equal(await presented(portico.port), 'DNS:second.test');
  assert.equal(portico.log().match(/does not fit/g)?.length, 1);

  // An edge that is new has it too, though it lies in no file any more.
  process.kill(before[0]!, 'SIGKILL');
  await portico.logged(/edge 1 .*failed/);
  await becomes(portico.port, 'DNS:second.test');

  // HUP refuses as the watch does, and the old generation serves.
  portico.signal('SIGHUP');
  await portico.logged(/Cannot use keyfile .*there is no file/);
  assert.equal(await presented(portico.port), 'DNS:second.test');
  open.destroy();
});

test('a connection that is open stays open while its certificate is replaced', async (t) => {
  const { dir, cert, key } = await files(t, 'first.test');
  const portico = await startPortico(t, [...https(cert, key), '--keep-alive', '60s', app]);
  const client = await connected(portico.port);
  const ask = () =>
    new Promise<string>((done) => {
      client.once('data', (bytes) => done(bytes.toString('latin1').slice(0, 12)));
      client.write('GET / HTTP/1.1\r\nHost: first.test\r\n\r\n');
    });
  assert.equal(await ask(), 'HTTP/1.1 200');
  write(dir, 'a', await makePair(['second.test']));
  await becomes(portico.port, 'DNS:second.test');
  assert.equal(await ask(), 'HTTP/1.1 200');
  client.destroy();
});

test('renewals by symbolic links are followed, as certbot and Kubernetes make them', async (t) => {
  const dir = tempDir(t);
  const put = async (version: string, name: string) => {
    mkdirSync(join(dir, version));
    write(join(dir, version), 'tls', await makePair([name]));
  };
  // Kubernetes: tls.pem → ..data/tls.pem, ..data → ..1, and ..data is replaced by a rename.
  await put('..1', 'one.test');
  symlinkSync('..1', join(dir, '..data'));
  symlinkSync('..data/tls.pem', join(dir, 'tls.pem'));
  symlinkSync('..data/tls.key', join(dir, 'tls.key'));
  const args = https(join(dir, 'tls.pem'), join(dir, 'tls.key'));
  const portico = await startPortico(t, [...args, app]);
  await becomes(portico.port, 'DNS:one.test');
  const swap = (version: string) => {
    symlinkSync(version, join(dir, '..next'));
    renameSync(join(dir, '..next'), join(dir, '..data'));
  };
  await put('..2', 'two.test');
  swap('..2');
  await becomes(portico.port, 'DNS:two.test');
  rmSync(join(dir, '..1'), { recursive: true });
  await put('..3', 'three.test');
  swap('..3');
  await becomes(portico.port, 'DNS:three.test');
  // certbot: live/tls.pem → archive/tls4.pem, and each link is replaced.
  await put('archive', 'four.test');
  for (const kind of ['key', 'pem']) {
    rmSync(join(dir, `tls.${kind}`));
    symlinkSync(`archive/tls.${kind}`, join(dir, `tls.${kind}`));
  }
  await becomes(portico.port, 'DNS:four.test');
  // And what the links lead to may be written anew where it lies.
  write(join(dir, 'archive'), 'tls', await makePair(['five.test']));
  await becomes(portico.port, 'DNS:five.test');
  assert.doesNotMatch(portico.log(), /Not taking/);
});

test(
  'several certificates are chosen from by name, PKCS#12 among them',
  needs('openssl'),
  async (t) => {
    const { dir } = await files(t, 'a.test');
    write(dir, 'b', await makePair(['*.b.test'], { key: 'rsa' }));
    const p12 = [
      '-in',
      join(dir, 'b.pem'),
      '-inkey',
      join(dir, 'b.key'),
      '-out',
      join(dir, 'b.p12'),
    ];
    openssl(['pkcs12', '-export', ...p12, '-passout', 'pass:words']);
    const config = {
      bind: ['https://127.0.0.1:0'],
      workers: 1,
      app,
      tlsUnknownName: 'refuse',
      tls: {
        certificates: [
          { cert: 'a.pem', key: 'a.key' },
          { cert: 'b.p12', passphrase: 'words' },
        ],
      },
    };
    writeFileSync(join(dir, 'portico.config.json'), JSON.stringify(config));
    const portico = await startPortico(t, ['--bind', 'https://127.0.0.1:0'], { cwd: dir });
    assert.equal(await presented(portico.port, 'a.test'), 'DNS:a.test');
    assert.equal(await presented(portico.port, 'x.b.test'), 'DNS:*.b.test');
    await assert.rejects(presented(portico.port, 'c.test'), /unrecognized name/i);
    const { edges, binds } = await statusOf(portico.runtimeDir);
    assert.match(binds[0]!.url, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual(
      edges[0]!.status!.certificates.map(({ names, key, source }) => [names, key, source]),
      [
        [['a.test'], 'ECDSA P-256', 'files'],
        [['*.b.test'], 'RSA 2048', 'files'],
      ],
    );
    const shown = await promisify(execFile)(process.execPath, [
      program,
      'status',
      '--runtime-dir',
      portico.runtimeDir,
    ]);
    assert.match(shown.stdout, /certificate a\.test: ECDSA P-256 by a\.test, expires in 89 days/);
    assert.match(shown.stdout, /\*\.b\.test: RSA 2048 by \*\.b\.test, expires in 89 days/);
  },
);

test(
  'workers get neither keys nor passphrases, nor does --print-config show them',
  needs('openssl'),
  async (t) => {
    const { dir, cert, key } = await files(t, 'a.test');
    const encrypted = join(dir, 'encrypted.key');
    openssl(['pkcs8', '-topk8', '-in', key, '-out', encrypted, '-passout', 'pass:quite-secret']);
    const file = join(dir, 'tells.mjs');
    writeFileSync(
      file,
      `export default (req, res) => res.end(JSON.stringify([process.env, process.argv]));\n`,
    );
    const env = { PORTICO_KEYFILE_PASSWORD: 'quite-secret' };
    const portico = await startPortico(t, [...https(cert, encrypted), '--workers', '1', file], {
      env,
    });
    const client = await connected(portico.port);
    client.write('GET / HTTP/1.0\r\n\r\n');
    let answer = '';
    for await (const chunk of client) answer += chunk;
    assert.match(answer, /PORTICO_RUNTIME_DIR/);
    assert.doesNotMatch(answer, /quite-secret/);
    for (const flags of [[], ['--json']]) {
      const args = [program, '--print-config', ...flags, ...https(cert, encrypted), file];
      const { stdout } = await promisify(execFile)(process.execPath, args, {
        env: { ...process.env, ...env },
      });
      assert.match(stdout, /hidden/);
      assert.doesNotMatch(stdout, /quite-secret/);
    }
  },
);

test('a key that only root can read serves edges of another user', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  const { dir, cert, key } = await files(t, 'root.test');
  chmodSync(dir, 0o700);
  assert.equal(readFileSync(key).length > 0, true);
  // Where the other user may go, other than the files' own directory.
  const place = tempDir(t);
  chmodSync(place, 0o755);
  const env = { PORTICO_RUNTIME_DIR: join(place, 'run') };
  const portico = await startPortico(t, [...https(cert, key), '--user', 'nobody', app], { env });
  assert.equal(await presented(portico.port), 'DNS:root.test');
  const { pid } = (await statusOf(env.PORTICO_RUNTIME_DIR)).edges[0]!;
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Uid:\t(?!0\t)/m);
});

test('a reload makes https:// of an address that was plain, and new certificates come and go', async (t) => {
  const { dir } = await files(t, 'a.test');
  write(dir, 'b', await makePair(['b.test']));
  const portOf = await freePort();
  const configure = (changes: object) =>
    writeFileSync(
      join(dir, 'portico.config.json'),
      JSON.stringify({ app, workers: 1, bind: [`127.0.0.1:${portOf}`], ...changes }),
    );
  configure({});
  const portico = await startPortico(t, [], { cwd: dir, ownBind: true });
  const reload = async () => {
    const from = portico.log().length;
    portico.signal('SIGHUP');
    await portico.logged(/Reloaded: generation/, { from });
    return portico.log().slice(from);
  };
  assert.equal((await fetch(portico.origin)).status, 200);
  const bind = [`https://127.0.0.1:${portOf}`];
  configure({ bind, certfile: 'a.pem', keyfile: 'a.key' });
  assert.match(await reload(), /Listening at: https:/);
  assert.equal(await presented(portico.port), 'DNS:a.test');
  assert.match((await statusOf(portico.runtimeDir)).binds[0]!.url, /^https:/);
  configure({ bind, tls: { certificates: [{ cert: 'b.pem', key: 'b.key' }] } });
  assert.doesNotMatch(await reload(), /Listening at/);
  assert.equal(await presented(portico.port, 'a.test'), 'DNS:b.test');
  configure({});
  await reload();
  assert.equal((await fetch(portico.origin)).status, 200);
});
