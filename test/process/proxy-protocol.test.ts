// The real HAProxy in front of the real Portico, with each version of the PROXY protocol.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { makePair } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import { startPortico } from '../helpers/portico.ts';
import { accepts, freePorts } from '../helpers/ports.ts';
import { until } from '../helpers/until.ts';

const run = promisify(execFile);

test(
  'HAProxy tells who the client is, in front of plain HTTP and of TLS',
  needs('haproxy', 'curl'),
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'portico-haproxy-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const { certPem, keyPem } = await makePair(['localhost']);
    writeFileSync(join(dir, 'tls.pem'), certPem + keyPem);
    writeFileSync(
      join(dir, 'app.mjs'),
      'export default ({ headers: h }, s) => s.end(["for", "proto", "port"].map((n) => h["x-forwarded-" + n]).join(" "));',
    );
    const [plain, tls, one, two, three] = await freePorts(5);
    const portico = await startPortico(
      t,
      [
        ...['--bind', `127.0.0.1:${plain}`, '--bind', `https://127.0.0.1:${tls}`],
        ...['--certfile', join(dir, 'tls.pem'), '--workers', '1', '--proxy-protocol', 'app.mjs'],
      ],
      { cwd: dir },
    );
    writeFileSync(
      join(dir, 'haproxy.cfg'),
      `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen one
  bind 127.0.0.1:${one}
  server a 127.0.0.1:${plain} send-proxy
listen two
  bind 127.0.0.1:${two}
  server a 127.0.0.1:${tls} send-proxy-v2 check inter 100ms
listen three
  bind 127.0.0.1:${three} ssl crt ${join(dir, 'tls.pem')}
  server a 127.0.0.1:${plain} send-proxy-v2-ssl
`,
    );
    await startHaproxy(t, join(dir, 'haproxy.cfg'), one!);
    const ask = async (url: string) =>
      // 127.0.0.2, so that the client is not where the balancer is.
      (await run('curl', ['-ksS', '--max-time', '10', '--interface', '127.0.0.2', url])).stdout;
    assert.equal(await ask(`http://127.0.0.1:${one}/`), `127.0.0.2 http ${one}`);
    assert.equal(await ask(`https://127.0.0.1:${two}/`), `127.0.0.2 https ${two}`);
    assert.equal(await ask(`https://127.0.0.1:${three}/`), `127.0.0.2 https ${three}`);
    // HAProxy's own questions (LOCAL, and gone) are no failures.
    assert.doesNotMatch(portico.log(), /PROXY_PROTOCOL|TLS_HANDSHAKE/);
    await assert.rejects(
      ask(`http://127.0.0.1:${plain}/`).then((text) => assert.equal(text, '127.0.0.1 http')),
    );
  },
);

async function startHaproxy(t: TestContext, config: string, port: number): Promise<void> {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child = spawn('haproxy', ['-db', '-f', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  const gone = new Promise((done) => child.once('exit', done));
  t.after(async () => {
    if (child.exitCode === null && child.kill('SIGTERM')) await gone;
  });
  await until('haproxy', () => accepts(port));
}
