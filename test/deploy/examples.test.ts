// Every example, started by its one command through the real processes.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { debianPython, needsPython } from '../helpers/need.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const examplesDir = join(repositoryRoot, 'examples');
const names = readdirSync(examplesDir, { withFileTypes: true })
  // compose/ is more than an app: test/deploy/compose.test.ts.
  .filter((entry) => entry.isDirectory() && entry.name !== 'compose')
  .map(({ name }) => name);

// Two at once: half of the time they wait, as for the pieces of a stream.
describe('examples', { concurrency: 2 }, () => {
  /** That of routes has a test of its own: it is two programs. */
  for (const name of names.filter((name) => name !== 'welcome' && name !== 'routes')) {
    const need = pythonOf(name);
    test(`examples/${name}: page, JSON, form, stream and error`, need, async (t) => {
      const python = need.skip === undefined ? [] : ['--python', debianPython];
      const { origin } = await startPortico(t, ['--workers', '1', ...python, ...commandOf(name)]);
      const page = await fetch(origin);
      assert.equal(page.headers.get('content-type')?.toLowerCase(), 'text/html; charset=utf-8');
      assert.match(await page.text(), /on Portico<\/h1>/);

      const hello = await getJson(`${origin}/api/hello?name=you`);
      assert.equal(hello.hello, 'you');
      assert.equal(hello.ip, '127.0.0.1');

      const body = new URLSearchParams({ text: 'some text' });
      const echo = await fetch(`${origin}/api/echo`, { method: 'POST', body });
      assert.equal(echo.status, 201);
      assert.deepEqual(await echo.json(), { echo: { text: 'some text' } });
      // Of unknown length: body parsers read it only where Transfer-Encoding announces it.
      const chunked = await fetch(`${origin}/api/echo`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new Blob([body.toString()]).stream(),
        duplex: 'half',
      } as RequestInit);
      assert.deepEqual(await chunked.json(), { echo: { text: 'some text' } });

      const stream = await fetch(`${origin}/api/stream`);
      const pieces: string[] = [];
      for await (const piece of stream.body!) pieces.push(Buffer.from(piece).toString());
      assert.equal(pieces.join('').trimEnd().split('\n').length, 5);
      assert.ok(pieces.length > 1, 'the stream came in one piece');

      assert.equal((await fetch(`${origin}/error`)).status, 500);
      assert.equal((await fetch(origin)).status, 200);
    });
  }

  test('examples/welcome: page, its files, and answers from every worker', async (t) => {
    const { origin } = await startPortico(t, ['--workers', '2', ...commandOf('welcome')]);
    const html = await (await fetch(origin)).text();
    for (const [, path] of html.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)) {
      assert.equal((await fetch(origin + path)).status, 200, path);
    }
    assert.match(await (await fetch(`${origin}/docs/apps.md`)).text(), /^# How your app is found/);
    const workers = new Set<number>();
    // The second worker may be ready a moment after the first.
    const end = performance.now() + 20_000;
    while (workers.size < 2 && performance.now() < end) {
      workers.add((await getJson(`${origin}/api/whoami`)).worker as number);
    }
    assert.deepEqual([...workers].sort(), [1, 2]);
  });
});

async function getJson(url: string): Promise<Record<string, unknown>> {
  return (await (await fetch(url)).json()) as Record<string, unknown>;
}

/** What the Python examples need: Debian's Python and its packages. */
function pythonOf(name: string): { skip?: string | false } {
  if (name === 'flask') return needsPython('flask', 'gunicorn');
  return name === 'fastapi' ? needsPython('fastapi', 'uvicorn') : {};
}

/** The arguments in the example's own header: `… dist/main.js ARGUMENTS`. */
function commandOf(name: string): string[] {
  const dir = join(examplesDir, name);
  const file = readdirSync(dir).find((entry) => /^app\.(py|[jt]s)$/.test(entry))!;
  const command = /node dist\/main\.js (.+)/.exec(readFileSync(join(dir, file), 'utf8'))?.[1];
  assert.ok(command, `${name} has no command in its header`);
  return command.split(' ');
}
