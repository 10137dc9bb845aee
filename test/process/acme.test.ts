// The whole program gets certificates from Pebble: both challenges, a killed edge, a reload, another user, several edges.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { connect, type PeerCertificate } from 'node:tls';
import { temporaryDirectory } from '../helpers/acme.ts';
import { needs, needsNobody } from '../helpers/need.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { type Owner, spawnPortico } from '../helpers/portico.ts';
import { freePorts } from '../helpers/ports.ts';
import { statusOf } from '../helpers/status.ts';
import { until } from '../helpers/until.ts';

const pebbleIsThere = needs('pebble', 'pebble-challtestsrv');
const app = 'test/fixtures/echo-app.mjs';

interface Served {
  readonly issuer: string;
  readonly serial: string;
  readonly names: string;
}

/** What a client that asks for `host` is shown; null while nothing accepts. */
function shown(port: number, host: string): Promise<Served | null> {
  return new Promise((done) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: host,
      rejectUnauthorized: false,
    });
    socket.on('secureConnect', () => {
      const { issuer, serialNumber, subjectaltname } =
        socket.getPeerCertificate() as PeerCertificate;
      socket.end();
      done({ issuer: String(issuer.CN), serial: serialNumber, names: subjectaltname ?? '' });
    });
    socket.on('error', () => done(null));
    socket.setTimeout(5000, () => socket.destroy(new Error('silence')));
  });
}

function issued(port: number, host: string): Promise<Served> {
  return until(
    `a certificate for ${host}`,
    () => shown(port, host),
    (found) => found?.names === `DNS:${host}` && /^Pebble/.test(found.issuer),
  );
}

interface Instance {
  readonly portico: ReturnType<typeof spawnPortico>;
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly pebble: Pebble;
  readonly storage: string;
  readonly runtimeDir: string;
  reconfigure(changes: object): void;
}

async function start(
  t: Owner,
  hosts: readonly string[],
  args: readonly string[],
): Promise<Instance> {
  const [httpPort, tlsPort] = (await freePorts(2)) as [number, number];
  const pebble = await startPebble(t, { httpPort, tlsPort });
  const dir = temporaryDirectory(t);
  // Edges of another user pass through it.
  chmodSync(dir, 0o711);
  const storage = join(dir, 'acme');
  const runtimeDir = join(dir, 'run');
  const configFile = join(dir, 'portico.config.json');
  const caFile = join(dir, 'ca.pem');
  writeFileSync(caFile, pebble.tls.caPem);
  const config = {
    app: resolve(app),
    workers: 1,
    bind: [`127.0.0.1:${httpPort}`, `https://127.0.0.1:${tlsPort}`],
    acme: hosts,
    acmeDirectory: pebble.directoryUrl,
    acmeCaFile: caFile,
    acmeStorage: storage,
  };
  const reconfigure = (changes: object) =>
    writeFileSync(configFile, JSON.stringify({ ...config, ...changes }));
  reconfigure({});
  const portico = spawnPortico(t, [
    ...['--config', configFile, '--runtime-dir', runtimeDir],
    ...args,
  ]);
  return { portico, httpPort, tlsPort, pebble, storage, runtimeDir, reconfigure };
}

function status({ runtimeDir }: Instance): string {
  const args = ['dist/main.js', 'status', '--runtime-dir', runtimeDir];
  return execFileSync(process.execPath, args, { encoding: 'utf8' });
}

const orders = ({ pebble }: Instance) => pebble.log().match(/Added order/g)?.length ?? 0;

for (const type of ['http-01', 'tls-alpn-01'])
  test(`a host that is named has a certificate by ${type}`, pebbleIsThere, async (t) => {
    const instance = await start(t, ['one.example'], ['--acme-challenges', type]);
    await issued(instance.tlsPort, 'one.example');
    const byHttp = /Attempting to validate w\/ HTTP/.test(instance.pebble.log());
    assert.equal(byHttp, type === 'http-01');
    const unknown = await fetch(
      `http://127.0.0.1:${instance.httpPort}/.well-known/acme-challenge/${'x'.repeat(43)}`,
    );
    assert.equal(unknown.status, 200, 'what is not ours is the app’s');
    assert.match(status(instance), /acme one\.example: certificate for \d+d .*, renewed in \d+d/);
  });

test(
  'several edges make one order, and one that is killed comes back with the certificate',
  pebbleIsThere,
  async (t) => {
    const instance = await start(
      t,
      ['one.example'],
      [
        // A redirect is not in the CA's way.
        ...['--edges', '2', '--redirect-https', '308', '--acme-challenges', 'http-01'],
      ],
    );
    const first = await issued(instance.tlsPort, 'one.example');
    const edge1 = async () => (await statusOf(instance.runtimeDir)).edges[0];
    const { pid } = (await edge1())!;
    process.kill(pid!, 'SIGKILL');
    await until('another edge 1', edge1, (now) => now?.phase === 'serving' && now.pid !== pid);
    // Whichever edge is asked.
    await until('certificate everywhere', async () => {
      const seen = await Promise.all(
        Array.from({ length: 8 }, () => shown(instance.tlsPort, 'one.example')),
      );
      return seen.every((served) => served?.serial === first.serial);
    });
    assert.equal(orders(instance), 1);
  },
);

test('a reload brings and takes names', pebbleIsThere, async (t) => {
  const instance = await start(t, ['one.example'], []);
  await issued(instance.tlsPort, 'one.example');
  instance.reconfigure({ acme: ['two.example'] });
  instance.portico.signal('SIGHUP');
  await issued(instance.tlsPort, 'two.example');
  assert.doesNotMatch(status(instance), /acme one\.example/);
});

const asNobody = needsNobody();

test('edges of another user get their directory from root', {
  skip: pebbleIsThere.skip || asNobody.skip,
}, async (t) => {
  const instance = await start(t, ['one.example'], ['--user', 'nobody']);
  await issued(instance.tlsPort, 'one.example');
  const { uid, mode } = statSync(instance.storage);
  assert.deepEqual([uid, mode & 0o777], [65534, 0o700]);
});
