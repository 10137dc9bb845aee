// Compression through the whole program, with a client that decodes by itself.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';

const app = `${join(repositoryRoot, 'test/fixtures/compression-app.mjs')}:app`;

test('JSON is compressed and found again by its tag, events flow, an image stays', async (t) => {
  const portico = await startPortico(t, ['--workers', '1', '--access-logfile', '-', app]);
  const json = await fetch(`${portico.origin}/json`);
  assert.match(json.headers.get('content-encoding') ?? '', /^(zstd|gzip|br)$/);
  assert.equal(json.headers.get('etag'), 'W/"v1"');
  const wireBytes = json.headers.get('content-length');
  assert.equal(((await json.json()) as unknown[]).length, 300);
  await portico.logged(new RegExp(`"GET /json HTTP/1\\.1" 200 ${wireBytes} `));

  const again = { headers: { 'If-None-Match': 'W/"v1"' } };
  const known = await fetch(`${portico.origin}/json`, again);
  assert.equal(known.status, 304);
  assert.equal(known.headers.get('etag'), 'W/"v1"');

  const events = await fetch(`${portico.origin}/events`);
  assert.notEqual(events.headers.get('content-encoding'), null);
  const reader = events.body!.getReader();
  for (let count = 0; count < 3; count++) {
    assert.equal(await (await fetch(`${portico.origin}/say`)).text(), 'said');
    const { value } = await reader.read();
    assert.match(new TextDecoder().decode(value), /^data: \d+\n\n$/);
  }
  await reader.cancel();

  const image = await fetch(portico.origin);
  assert.equal(image.headers.get('content-encoding'), null);
  assert.equal(image.headers.get('vary'), null);
  assert.equal((await image.arrayBuffer()).byteLength, 20_000);

  const client = new RawClient(portico.port);
  const small = await client.send('GET /json HTTP/1.1\r\nHost: test\r\n\r\n').response();
  assert.equal(small.fields.get('content-encoding'), undefined);
  assert.equal(small.fields.get('etag'), '"v1"');
  assert.equal(small.fields.get('vary'), 'Accept-Encoding');
  client.leave();
});
