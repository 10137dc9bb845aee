// What the adapter does to the exchange, and by which internals of Node.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { nodeHttpOptions, serveNodeHttp, toNodeHttp } from '../../src/nodehttp/adapter.ts';
import { missingInternals } from '../../src/nodehttp/node-internals.ts';
import { faultsOfNode } from '../../src/nodehttp/self-check.ts';
import { fakeExchange } from '../helpers/exchange.ts';
import { differences } from '../helpers/nodehttp-differences.ts';

test('this Node has every internal of http that the adapter uses', () => {
  assert.deepEqual(missingInternals(), []);
});

test('a Node that renders heads otherwise is found out', () => {
  const options = nodeHttpOptions();
  assert.deepEqual(faultsOfNode(options), []);
  class Other extends http.ServerResponse {
    override end(): this {
      return this;
    }
  }
  const faults = faultsOfNode({ ...options, Response: Other as never });
  assert.match(String(faults), /write\(\) and end\(\) came out as/);
});

test('docs/app-environment.md names every known difference', () => {
  const text = readFileSync('docs/app-environment.md', 'utf8');
  for (const sentence of Object.values(differences)) assert.ok(text.includes(sentence), sentence);
});

test('end(content) reaches the exchange whole within the call', () => {
  const exchange = fakeExchange();
  const calls: string[] = [];
  serveNodeHttp(exchange, (_request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.end('hello');
    calls.push(...exchange.calls);
  });
  assert.deepEqual(calls, ['respond 200', 'write 5', 'end']);
  assert.deepEqual(exchange.seen.fields, ['Content-Type', 'text/plain', 'Content-Length', '5']);
  assert.equal(exchange.seen.content.toString(), 'hello');
});

test('request content is acknowledged as the app reads it', async () => {
  const chunk = 'x'.repeat(16 * 1024);
  const exchange = fakeExchange({
    method: 'POST',
    content: Array.from({ length: 64 }, () => chunk),
    requestWindow: 32 * 1024,
  });
  const { request, response } = toNodeHttp(exchange);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(exchange.sentBytes, 32 * 1024);
  assert.equal(exchange.consumedBytes, 0);
  let bytes = 0;
  for await (const piece of request) bytes += piece.length;
  assert.equal(bytes, 64 * 16 * 1024);
  response.end('ok');
  const seen = await exchange.over;
  assert.equal(seen.whole, true);
  assert.deepEqual(exchange.violations, []);
});

test('a client that leaves is told to request and response', async () => {
  const exchange = fakeExchange({ method: 'POST', content: 'later' });
  const { request, response } = toNodeHttp(exchange);
  const events: string[] = [];
  request.on('aborted', () => events.push('aborted'));
  request.on('error', (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`));
  request.on('close', () => events.push('request close'));
  response.on('close', () => events.push(`response close ${response.writableFinished}`));
  response.write('begun');
  exchange.clientLeaves();
  await new Promise((resolve) => request.on('close', resolve));
  assert.deepEqual(events, [
    'aborted',
    'response close false',
    'error ECONNRESET',
    'request close',
  ]);
  assert.equal(response.write('more'), false);
});

test('destroying the response cuts it', async () => {
  const exchange = fakeExchange();
  const { response } = toNodeHttp(exchange);
  response.write('half');
  response.destroy();
  const seen = await exchange.over;
  assert.equal(seen.whole, false);
  assert.equal(exchange.failure?.code, 'WORKER_RESET');
});
