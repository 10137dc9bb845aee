// Error pages: the form a client prefers, pages of the user's, and that nothing hostile gets into them.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { errorAnswer } from '../../src/edge/error-pages/error-answer.ts';
import { loadErrorPages } from '../../src/edge/error-pages/error-pages.ts';
import { failure } from '../../src/errors/failure.ts';
import { workerFactory } from '../helpers/link-workers.ts';
import { repositoryRoot } from '../helpers/portico.ts';
import { runEdge } from '../helpers/running-edge.ts';

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

/** An edge whose only worker dies of each request: 502. */
async function failing(t: TestContext, changes: Partial<Config> = {}) {
  const edge = await runEdge(t, changes);
  const worker = await workerFactory(t)((taken) => taken.exchange.fail(failure('WORKER_RESET')));
  edge.edge.pools.admit(worker.address);
  const get = (accept: string, more = '') =>
    edge.ask('GET /', `${accept === '' ? '' : `Accept: ${accept}\r\n`}${more}\r\n`).response();
  return { ...edge, get };
}

test('a browser reads a page, an API client JSON, all others a line of text', async (t) => {
  const { get } = await failing(t);
  const page = await get(browser);
  assert.equal(page.status, 502);
  assert.equal(page.fields.get('content-type'), 'text/html; charset=utf-8');
  assert.match(page.body, /<h1>No proper answer came<\/h1>/);
  assert.match(page.body, /name this request: <code>[0-9a-f]{32}<\/code>/);
  assert.match(page.fields.get('content-security-policy') ?? '', /^default-src 'none'/);

  const json = await get('application/json');
  assert.equal(json.fields.get('content-type'), 'application/problem+json');
  const problem = JSON.parse(json.body);
  assert.deepEqual(Object.keys(problem), ['title', 'status', 'detail', 'code', 'requestId']);
  assert.equal(problem.title, 'Bad Gateway');
  assert.equal(problem.status, 502);
  assert.equal(problem.code, 'WORKER_RESET');
  assert.match(problem.requestId, /^[0-9a-f]{32}$/);

  for (const accept of ['', '*/*', 'image/webp,*/*;q=0.8']) {
    const text = await get(accept);
    assert.equal(text.fields.get('content-type'), 'text/plain; charset=utf-8');
    assert.match(text.body, /^502 WORKER_RESET: .* Request [0-9a-f]{32}\.\n$/);
  }
});

test('a malformed request is told in text, whatever it accepts', async (t) => {
  const { connect } = await failing(t);
  const answer = await connect()
    .send(`GET / HTTP/1.1\r\nAccept: text/html\r\nHost: a b\r\n\r\n`)
    .response();
  assert.equal(answer.status, 400);
  assert.match(answer.body, /^400 BAD_HOST/);
});

test('own pages are whole by themselves and speak for every status', () => {
  const pages = loadErrorPages({});
  for (let status = 400; status <= 505; status++) {
    const html = pages.render(status, 'the-id')?.content.toString() ?? '';
    assert.match(html, /^<!doctype html>\n<html lang="en">/, `${status}`);
    assert.doesNotMatch(html, /\b(?:src|href|action)\s*=|https?:|@import|url\(|<script/i);
    assert.doesNotMatch(html, /\{\{|undefined/);
    assert.match(html, /prefers-color-scheme: dark/);
    assert.match(html, /name="viewport"/);
    assert.equal(html.includes('the-id'), status >= 500, `${status}`);
    assert.ok(html.includes(`<title>${status} `));
  }
  assert.equal(pages.render(200, ''), null);
  const welcome = readFileSync(join(repositoryRoot, 'static/welcome.html'), 'utf8');
  assert.doesNotMatch(welcome, /\b(?:src|href|action)\s*=|https?:|@import|url\(|<script/i);
});

test('what a client sent is escaped or not there', () => {
  const hostile = `"><script>alert(1)</script>&'`;
  const pages = loadErrorPages({});
  const html = pages.render(500, hostile)?.content.toString() ?? '';
  assert.ok(html.includes('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;'));
  assert.ok(!html.includes('<script'));
  const request = {
    method: 'GET',
    target: `/${hostile}`,
    version: '1.1' as const,
    fields: ['Accept', browser, 'X', hostile],
  };
  const answer = errorAnswer(failure('NOT_FOUND'), { request, requestId: hostile }, pages);
  assert.ok(!Buffer.from(answer.content).toString().includes('alert'));
});

test('errorPages replaces pages by status and class, anew at a reload', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-pages-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const sorry = join(dir, 'sorry.html');
  writeFileSync(sorry, '<p>{{status}}: call us with {{requestId}}, {{requestId}}');
  const { get, configure } = await failing(t, { errorPages: { '5xx': sorry } });
  const page = await get(browser, 'X-Request-Id: a<b>&c\r\n');
  // The peer is trusted, so its name for the request is taken; and escaped.
  assert.equal(page.body, '<p>502: call us with a&lt;b&gt;&amp;c, a&lt;b&gt;&amp;c');
  assert.equal(page.fields.has('content-security-policy'), false);
  assert.match((await get('')).body, /^502 WORKER_RESET/);

  rmSync(sorry);
  assert.match((await get(browser)).body, /^<p>502/, 'kept in memory');
  assert.throws(() => configure({ errorPages: { '5xx': sorry } }), /cannot use the error page/);
  assert.match((await get(browser)).body, /^<p>502/, 'a refused reload changes nothing');
  writeFileSync(sorry, 'new');
  writeFileSync(join(dir, '502.html'), 'exactly');
  configure({ errorPages: { '5xx': sorry, '502': join(dir, '502.html') } });
  assert.equal((await get(browser)).body, 'exactly');
});

test('interceptErrors puts a page in place of what the app says, for browsers', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-pages-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, '404.html'), 'the site\u2019s own {{status}}');
  const changes = { errorPages: { '404': join(dir, '404.html') } };
  const { edge, ask, configure } = await runEdge(t, { ...changes, interceptErrors: true });
  const worker = await workerFactory(t)(({ exchange }) => {
    const status = exchange.request.target === '/missing' ? 404 : 500;
    exchange.respond(status, '', ['Content-Length', '3', 'ETag', '"a"', 'Set-Cookie', 'a=1']);
    exchange.write(Buffer.from('app'));
    exchange.end([]);
  });
  edge.pools.admit(worker.address);
  const get = (target: string, accept: string, method = 'GET') =>
    ask(`${method} ${target}`, `Accept: ${accept}\r\n\r\n`).response(method);
  const page = await get('/missing', browser);
  assert.equal(page.status, 404);
  assert.equal(Buffer.from(page.body, 'latin1').toString(), 'the site\u2019s own 404');
  assert.equal(page.fields.get('set-cookie'), 'a=1');
  assert.equal(page.fields.has('etag'), false);
  assert.equal((await get('/missing', browser, 'HEAD')).fields.get('content-length'), '20');
  assert.equal((await get('/missing', 'application/json')).body, 'app');
  assert.equal((await get('/fault', browser)).body, 'app', 'errorPages does not name 500');
  configure({ ...changes, interceptErrors: false });
  assert.equal((await get('/missing', browser)).body, 'app');
});

test('with a cache, a page that names its request is for that request alone', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-pages-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, '404.html'), 'page for {{requestId}}');
  const errorPages = { '404': join(dir, '404.html') };
  const { edge, ask } = await runEdge(t, {
    errorPages,
    interceptErrors: true,
    cacheBytes: 100_000,
  });
  const worker = await workerFactory(t)(({ exchange }) => {
    exchange.respond(404, '', ['Content-Length', '3', 'Cache-Control', 'max-age=60']);
    exchange.write(Buffer.from('app'));
    exchange.end([]);
  });
  edge.pools.admit(worker.address);
  const get = (accept: string) => ask('GET /', `Accept: ${accept}\r\n\r\n`).response();
  for (const accept of [browser, 'application/json', browser, 'application/json']) {
    const answer = await get(accept);
    const id = answer.fields.get('x-request-id');
    assert.equal(answer.body, accept === browser ? `page for ${id}` : 'app');
    assert.equal(answer.fields.get('vary'), 'Accept');
  }
  assert.equal(worker.taken.length, 3, 'what the app says to others is stored');
});
