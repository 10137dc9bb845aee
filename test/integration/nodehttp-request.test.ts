// The request: head, content, trailers, Expect, through node:http and through the adapter.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { serveNodeHttp } from '../../src/nodehttp/adapter.ts';
import { fakeExchange } from '../helpers/exchange.ts';
import { conforms, turns } from '../helpers/nodehttp.ts';

async function read(request: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request) text += piece;
  return text;
}

conforms('method, url and version', {
  request: { method: 'PURGE', target: '/a%20b?c=d&e' },
  handler(request, response, { note }) {
    note(request.method, request.url, request.httpVersion);
    note(request.httpVersionMajor, request.httpVersionMinor, request.statusCode);
    response.end();
  },
});

conforms('HTTP/1.0', {
  request: { version: '1.0' },
  differs: { parts: ['fields'], why: 'LENGTH_1_0' },
  handler(request, response, { note }) {
    note(request.httpVersion, request.httpVersionMajor, request.httpVersionMinor);
    response.end('x');
  },
});

conforms('fields: joined, first wins, and as received', {
  request: {
    fields: [
      ...['X-A', '1', 'x-a', '2', 'Cookie', 'a=1', 'Cookie', 'b=2', 'User-Agent', 'one'],
      ...['user-agent', 'two', 'Set-Cookie', 'x', 'Set-Cookie', 'y', 'Accept', 'a', 'accept', 'b'],
    ],
  },
  handler(request, response, { note }) {
    note(request.headers);
    note(request.headersDistinct);
    note(request.rawHeaders);
    response.end();
  },
});

conforms('headers can be replaced and changed', {
  handler(request, response, { note }) {
    request.headers['x-added'] = 'yes';
    note(request.headers['x-added']);
    request.headers = { only: 'this' };
    note(request.headers);
    request.url = '/other';
    note(request.url);
    response.end();
  },
});

conforms('joinDuplicateHeaders', {
  serverOptions: { joinDuplicateHeaders: true },
  request: { fields: ['User-Agent', 'one', 'User-Agent', 'two'] },
  handler(request, response, { note }) {
    note(request.headers['user-agent']);
    response.end();
  },
});

conforms('field bytes beyond ASCII are Latin-1', {
  request: { fields: ['X-A', 'caf\xe9'] },
  handler(request, response, { note }) {
    note(request.headers['x-a']);
    response.end();
  },
});

conforms('a request that is not read', {
  handler(request, response, { note, watch }) {
    watch(request, response);
    note(request.complete, request.readableEnded, request.readable, request.destroyed);
    response.on('close', () => note(request.complete, request.destroyed));
    request.on('close', () => note('closed', request.readableEnded, request.destroyed));
    response.end('x');
  },
});

conforms('what becomes of a request that nobody reads or listens to', {
  handler(request, response, { note }) {
    response.on('close', async () => {
      await turns(2);
      note(request.complete, request.readableEnded, request.destroyed, request.closed);
      note(request.readable, request.aborted, request.errored, request.read());
      note(await read(request));
    });
    response.end('x');
  },
});

conforms('a request answered a turn later is complete', {
  handler(request, response, { note }) {
    note(request.complete);
    setImmediate(() => {
      note(request.complete, request.readableEnded);
      response.end('x');
    });
  },
});

conforms('reading a request without content', {
  async handler(request, response, { note, watch }) {
    watch(request, response, ['request end', 'request close', 'response close']);
    note(await read(request));
    note(request.complete, request.readableEnded);
    response.end('x');
  },
});

conforms("'data' and 'end'", {
  request: { method: 'POST', content: 'hello' },
  handler(request, response, { note, watch }) {
    watch(request, response, ['request end', 'request close', 'response close']);
    let text = '';
    request.on('data', (chunk) => {
      note(Buffer.isBuffer(chunk));
      text += chunk;
    });
    request.on('end', () => {
      note(text, request.complete);
      response.end('got it');
    });
  },
});

conforms('async iteration', {
  request: { method: 'PUT', content: 'a'.repeat(200_000) },
  async handler(request, response, { note }) {
    note((await read(request)).length);
    response.end('x');
  },
});

conforms("'readable' and read()", {
  request: { method: 'POST', content: 'some content' },
  handler(request, response, { note }) {
    let text = '';
    request.on('readable', () => {
      for (let piece = request.read(); piece !== null; piece = request.read()) text += piece;
    });
    request.on('end', () => {
      note(text);
      response.end();
    });
  },
});

conforms('setEncoding', {
  request: { method: 'POST', content: 'ä€😀'.repeat(1000) },
  handler(request, response, { note }) {
    request.setEncoding('utf8');
    let length = 0;
    request.on('data', (text) => {
      length += text.length;
    });
    request.on('end', () => {
      note(length);
      response.end();
    });
  },
});

conforms('pause and resume', {
  request: { method: 'POST', content: 'a'.repeat(300_000) },
  handler(request, response, { note }) {
    let bytes = 0;
    request.on('data', (chunk) => {
      bytes += chunk.length;
      request.pause();
      setImmediate(() => request.resume());
    });
    request.on('end', () => {
      note(bytes);
      response.end();
    });
  },
});

conforms('echo: pipe of the request into the response', {
  request: { method: 'POST', content: 'abc'.repeat(100_000) },
  handler: (request, response) => request.pipe(response),
});

conforms('pipeline from the request', {
  request: { method: 'POST', content: 'abc'.repeat(50_000) },
  async handler(request, response, { note }) {
    let bytes = 0;
    const sink = new Writable({
      write(chunk, _encoding, done) {
        bytes += chunk.length;
        setImmediate(done);
      },
    });
    await pipeline(request, sink);
    note(bytes);
    response.end();
  },
});

conforms('stream.finished of the request', {
  request: { method: 'POST', content: 'abc' },
  async handler(request, response, { note }) {
    request.resume();
    await finished(request);
    note('finished', request.complete);
    response.end();
  },
});

conforms('content in pieces while the response goes out', {
  request: { method: 'POST', content: 'later' },
  async handler(request, response, { note, client }) {
    response.write('ready ');
    client.send('one ');
    let count = 0;
    for await (const piece of request) {
      response.write(piece);
      count += 1;
      if (count === 1) client.send('two ');
      if (count === 2) client.end();
    }
    note(count);
    response.end('over');
  },
});

conforms('content that nobody reads is thrown away', {
  request: { method: 'POST', content: 'a'.repeat(1_000_000) },
  handler(request, response, { note }) {
    response.end('enough');
    request.on('close', () => note('request closed', request.complete));
  },
});

conforms('content of which some is read', {
  request: { method: 'POST', content: 'a'.repeat(20) },
  handler(request, response, { note }) {
    request.once('data', () => {
      request.pause();
      request.removeAllListeners('data');
      note('begun');
      response.end('enough');
    });
  },
});

conforms('request trailers', {
  request: {
    method: 'POST',
    content: 'abc',
    trailers: ['X-Sum', '6', 'X-More', 'a', 'x-more', 'b'],
  },
  async handler(request, response, { note }) {
    note(request.trailers, request.rawTrailers);
    await read(request);
    note(request.trailers, request.rawTrailers, request.trailersDistinct);
    response.end();
  },
});

conforms('Expect: 100-continue is answered before the handler runs', {
  request: { method: 'POST', content: 'abc', expectsContinue: true },
  async handler(request, response, { note }) {
    note(request.headers.expect);
    response.end(await read(request));
  },
});

conforms("'checkContinue' that agrees", {
  request: { method: 'POST', content: 'abc', expectsContinue: true },
  prepare(server, { note }) {
    server.on('checkContinue', async (request, response) => {
      note('asked');
      response.writeContinue();
      response.end(await read(request));
    });
  },
  handler: (_request, _response, { note }) => note('never'),
});

conforms("'checkContinue' that refuses", {
  request: { method: 'POST', content: 'later', expectsContinue: true },
  prepare(server) {
    server.on('checkContinue', (_request, response) => void response.writeHead(417).end('no'));
  },
  handler: (_request, _response, { note }) => note('never'),
});

conforms('objects refer to each other', {
  handler(request, response, { note, server }) {
    note(response.req === request, request.socket === response.socket);
    note(request.connection === request.socket, response.connection === request.socket);
    note((request as never as { client: unknown }).client === request.socket);
    note((request.socket as never as { server: unknown }).server === server);
    note(request instanceof http.IncomingMessage, response instanceof http.ServerResponse);
    note(request.constructor.name, response.constructor.name);
    response.end();
  },
});

class MyRequest extends http.IncomingMessage {
  get shout(): string {
    return (this.url ?? '').toUpperCase();
  }
}
class MyResponse extends http.ServerResponse<MyRequest> {
  say(text: string): void {
    this.setHeader('X-Said', 'yes');
    this.end(text);
  }
}

conforms("the server's own classes", {
  serverOptions: { IncomingMessage: MyRequest, ServerResponse: MyResponse } as never,
  request: { target: '/abc' },
  handler: (request, response) => (response as MyResponse).say((request as MyRequest).shout),
});

test('an HTTP/2 client is shown as 1.1', async () => {
  const exchange = fakeExchange({ version: '2.0' });
  serveNodeHttp(exchange, (request, response) => {
    response.end(`${request.httpVersion} ${request.httpVersionMajor}`);
  });
  assert.equal((await exchange.over).content.toString(), '1.1 1');
});

test('a store entered for one request is not seen by the next', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  for (const name of ['a', 'b']) {
    const exchange = fakeExchange({ method: 'POST', content: 'x' });
    serveNodeHttp(exchange, (request, response) => {
      seen.push(storage.getStore());
      storage.enterWith(name);
      request.resume();
      request.on('end', () => response.end());
    });
    await exchange.over;
  }
  assert.deepEqual(seen, [undefined, undefined]);
  assert.equal(storage.getStore(), undefined);
});

test('content past the high-water mark waits for the reader', async () => {
  const exchange = fakeExchange({
    method: 'POST',
    content: Array.from({ length: 100 }, () => 'x'.repeat(16_384)),
    requestWindow: 65_536,
  });
  const responses: http.ServerResponse[] = [];
  serveNodeHttp(exchange, (request, response) => {
    responses.push(response);
    request.once('data', () => request.pause());
  });
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(exchange.sentBytes < 300_000, `${exchange.sentBytes} bytes came though nobody reads`);
  exchange.clientLeaves();
});
