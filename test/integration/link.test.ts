// Requests and answers over the link: both ends, one real Unix socket.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { failure } from '../../src/errors/failure.ts';
import { LinkPair, linkRequest, type PairOptions } from '../helpers/link-pair.ts';
import { until } from '../helpers/until.ts';

let pair: LinkPair;
afterEach(() => pair.close());

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

async function up(options: PairOptions = {}): Promise<LinkPair> {
  pair = await new LinkPair(options).up();
  return pair;
}

test('a request without content and its answer cross whole', async () => {
  await up();
  const request = linkRequest(
    {
      method: 'PUT',
      target: '/a?b=\xe9',
      version: '1.0',
      fields: ['hOsT', 'x', 'A', '', 'a', 'b'],
    },
    { requestId: 'id-7' },
  );
  const heard = pair.open(request);
  const handling = await pair.handling(0);
  const { exchange } = handling;
  assert.deepEqual(exchange.request, request.request);
  assert.deepEqual(exchange.client, request.client);
  assert.equal(exchange.requestId, 'id-7');
  assert.equal(exchange.bodyLength, 0);
  assert.deepEqual(handling.requestTrailers, []);
  exchange.inform(103, ['Link', '</a.css>']);
  exchange.respond(200, 'Fine', [
    'Content-Type',
    'text/plain',
    'Set-Cookie',
    'a',
    'Set-Cookie',
    'b',
  ]);
  assert.equal(exchange.write(bytes('hel')), true);
  exchange.write(bytes('lo'));
  exchange.end(['X-Sum', '1']);
  await until('the answer is whole', () => heard.ends > 0);
  assert.deepEqual(heard.informs, [[103, ['Link', '</a.css>']]]);
  assert.equal(heard.status, 200);
  assert.equal(heard.reason, 'Fine');
  assert.deepEqual(heard.fields, [
    'Content-Type',
    'text/plain',
    'Set-Cookie',
    'a',
    'Set-Cookie',
    'b',
  ]);
  assert.equal(heard.body, 'hello');
  assert.deepEqual(heard.trailers, ['X-Sum', '1']);
  await until('the handler hears the end', () => handling.closes === 1);
  assert.equal(handling.outcome, null);
  assert.equal(pair.edge.inFlight, 0);
  assert.equal(pair.worker?.inFlight, 0);
  assert.equal(exchange.record.status, 200);
  assert.equal(exchange.record.responseBytes, 5);
});

test('request content and trailers reach the handler in order', async () => {
  await up();
  const heard = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 'unknown' }));
  heard.stream.write(bytes('one '));
  heard.stream.write(bytes('two'));
  heard.stream.end(['T', 'v']);
  const handling = await pair.handling(0);
  await until('the request is complete', () => handling.requestTrailers !== null);
  assert.equal(handling.exchange.bodyLength, 'unknown');
  assert.equal(handling.body, 'one two');
  assert.deepEqual(handling.requestTrailers, ['T', 'v']);
});

test('many streams at once each get their own answer', async () => {
  await up();
  const heard = Array.from({ length: 500 }, (_, index) =>
    pair.open(linkRequest({ target: `/${index}` })),
  );
  await pair.handling(499);
  for (const { exchange } of pair.handlings.toReversed()) {
    exchange.respond(200, '', []);
    exchange.write(bytes(exchange.request.target));
    exchange.end([]);
  }
  await until('all are answered', () => heard.every((one) => one.ends === 1));
  heard.forEach((one, index) => {
    assert.equal(one.body, `/${index}`);
  });
});

test('a client that left is heard by the handler, and the edge hears nothing more', async () => {
  await up();
  const heard = pair.open();
  const handling = await pair.handling(0);
  handling.exchange.respond(200, '', []);
  heard.stream.cancel();
  await until('the handler hears the end', () => handling.closes === 1);
  assert.equal(handling.outcome?.code, 'CLIENT_LEFT');
  const next = pair.open();
  const second = await pair.handling(1);
  second.exchange.respond(204, '', []);
  second.exchange.end([]);
  await until('the link still works', () => next.ends === 1);
  assert.equal(heard.ends, 0);
  assert.equal(pair.edge.inFlight, 0);
});

test('an exchange that fails before its head brings the code to the edge', async () => {
  await up();
  const heard = pair.open();
  const handling = await pair.handling(0);
  handling.exchange.fail(failure('RESPONSE_INVALID', 'bad\nfield'));
  await until('both hear the end', () => heard.ends === 1 && handling.closes === 1);
  assert.equal(heard.failure?.code, 'RESPONSE_INVALID');
  assert.equal(heard.failure?.detail, 'bad?field');
  assert.equal(heard.reached, true);
  assert.equal(handling.outcome?.code, 'RESPONSE_INVALID');
});
